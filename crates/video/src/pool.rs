//! Many files at once, within one bound on memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::{Clip, Decoder, Error, FrameSize, Sampling};

/// One file to decode.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The video.
    pub path: PathBuf,
    /// Which frames.
    pub sampling: Sampling,
    /// How large.
    pub size: FrameSize,
}

/// What [`Decoder::decode_all`] may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of frames in memory at once. What a file will need is told from its header before it
    /// is begun; a file that needs more than all of this is decoded alone.
    pub bytes: u64,
    /// Files at once.
    pub files: usize,
}

impl Decoder {
    /// Decodes many files, several at once, and hands each result to `done` in the order of `jobs`
    /// on the calling thread. A file that fails is one `Err`; the others go on.
    pub fn decode_all(
        &self,
        jobs: &[Job],
        budget: Budget,
        mut done: impl FnMut(usize, Result<Clip, Error>),
    ) {
        let files = budget.files.clamp(1, jobs.len().max(1));
        let mut decoder = self.clone();
        decoder.limits.threads = (self.limits.threads / files).max(1);
        let gate = Gate::new(budget.bytes);
        let next = Mutex::new(0);
        let (senders, receivers): (Vec<_>, Vec<_>) = jobs.iter().map(|_| sync_channel(1)).unzip();
        thread::scope(|scope| {
            for _ in 0..files {
                scope.spawn(|| {
                    while let Some((i, held)) = admit(&decoder, jobs, &next, &gate) {
                        let job = &jobs[i];
                        let result = decoder.video(&job.path, job.sampling, job.size);
                        // The header may have lied: from here on the true figure counts.
                        let bytes = result.as_ref().map_or(0, bytes);
                        gate.change(held, bytes);
                        drop(senders[i].send((result, bytes)));
                    }
                });
            }
            let _opened = OpenAtTheEnd(&gate);
            for (i, receiver) in receivers.iter().enumerate() {
                let (result, bytes) = receiver.recv().expect("each job sends one result");
                done(i, result);
                gate.change(bytes, 0);
            }
        });
    }

    /// Bytes of the frames that a job will give, as its header has it; 0 if it cannot be read.
    fn foreseen(&self, job: &Job) -> u64 {
        let Ok(probe) = self.probe(&job.path) else {
            return 0;
        };
        let (width, height) = probe.upright();
        let (width, height) = match job.size {
            FrameSize::Native => (width, height),
            FrameSize::Exact { width, height } => (width.into(), height.into()),
            FrameSize::Within { long_edge } => {
                (width.min(long_edge.into()), height.min(long_edge.into()))
            }
        };
        let seconds = probe.duration.map_or(60.0, |duration| duration.0);
        let native = probe
            .frames
            .unwrap_or((seconds * probe.average_fps.unwrap_or(30.0)) as u64);
        let frames = match job.sampling {
            Sampling::Uniform { frames } => frames as u64,
            Sampling::Fps { fps, max_frames } => {
                ((seconds * fps) as u64 + 1).min(max_frames as u64)
            }
            Sampling::Transformers { max_frames, .. } => native.min(max_frames as u64),
            Sampling::All => native,
        };
        width
            .saturating_mul(height)
            .saturating_mul(3)
            .saturating_mul(frames)
            .min(self.limits.output_bytes)
    }
}

/// The next job with the bytes set aside for it. Jobs are admitted in their order: so the one whose
/// result is awaited always has its bytes.
fn admit(
    decoder: &Decoder,
    jobs: &[Job],
    next: &Mutex<usize>,
    gate: &Gate,
) -> Option<(usize, u64)> {
    let mut next = locked(next);
    let i = *next;
    let bytes = decoder.foreseen(jobs.get(i)?);
    *next += 1;
    gate.enter(bytes).then_some((i, bytes))
}

fn bytes(clip: &Clip) -> u64 {
    clip.frames.iter().map(|frame| frame.rgb.len() as u64).sum()
}

/// Bytes in use, and those who wait for some.
struct Gate {
    most: u64,
    used: Mutex<u64>,
    freed: Condvar,
    closed: AtomicBool,
}

impl Gate {
    fn new(most: u64) -> Self {
        Self {
            most,
            used: Mutex::new(0),
            freed: Condvar::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Waits until `bytes` fit, or nothing else is in use. False if nothing is wanted any more.
    fn enter(&self, bytes: u64) -> bool {
        let closed = || self.closed.load(Ordering::Relaxed);
        let full =
            |used: &mut u64| !closed() && *used > 0 && used.saturating_add(bytes) > self.most;
        let used = self.freed.wait_while(locked(&self.used), full);
        *used.unwrap_or_else(PoisonError::into_inner) += bytes;
        !closed()
    }

    /// Nobody waits any longer.
    fn open(&self) {
        let _used = locked(&self.used);
        self.closed.store(true, Ordering::Relaxed);
        self.freed.notify_all();
    }

    /// `before` bytes become `after` bytes.
    fn change(&self, before: u64, after: u64) {
        let mut used = locked(&self.used);
        *used = used.saturating_sub(before) + after;
        self.freed.notify_all();
    }
}

/// If the callback panics, nobody frees bytes any more: workers must not wait for them.
struct OpenAtTheEnd<'a>(&'a Gate);

impl Drop for OpenAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// What the locks guard is whole between any two statements, even if a callback panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
