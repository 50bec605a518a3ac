//! The sampled frames of a video file.

use std::path::{Path, PathBuf};
use std::thread;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::limits::Deadline;
use crate::passes::Sampler;
use crate::probe::{self, Probe};
use crate::source::Source;
use crate::{Clip, Error, Limits, Sampling, hash};

/// The size that frames are brought to while they are decoded, by ffmpeg's own scaler. Models that
/// must see what a reference sees take [`FrameSize::Native`] and [`crate::resize`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "size", rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameSize {
    /// As in the file, upright.
    #[default]
    Native,
    /// Exactly this, whatever the aspect ratio.
    Exact {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The longer side at most this, the aspect ratio kept; never enlarged.
    Within {
        /// Pixels of the longer side.
        long_edge: u32,
    },
}

/// Reads files through `ffmpeg`, within limits.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// The `ffmpeg` program, 4.4 or later.
    pub ffmpeg: PathBuf,
    /// The `ffprobe` program beside it.
    pub ffprobe: PathBuf,
    /// What one file may cost.
    pub limits: Limits,
    /// Where decoded clips are kept, if anywhere.
    pub cache: Option<Cache>,
}

impl Default for Decoder {
    /// The programs on the search path, [`Limits::default`], no cache.
    fn default() -> Self {
        Self {
            ffmpeg: "ffmpeg".into(),
            ffprobe: "ffprobe".into(),
            limits: Limits::default(),
            cache: None,
        }
    }
}

impl Decoder {
    /// What the file is.
    ///
    /// # Errors
    /// If it is no regular file, cannot be read, holds no video, or has too large frames.
    pub fn probe(&self, path: &Path) -> Result<Probe, Error> {
        let source = Source::open(path, &self.limits)?;
        probe::probe(
            self,
            &source,
            &Deadline::starting_now(path, self.limits.deadline),
        )
    }

    /// The sampled frames of a video file: upright, 8-bit, all of the first one's size.
    ///
    /// A damaged file gives the frames that could be decoded, with a warning event.
    ///
    /// # Errors
    /// If the file is no regular file, is not in a container that holds its own frames, gives no
    /// frame, or would break one of [`Limits`]. Each error names the file.
    pub fn video(&self, path: &Path, sampling: Sampling, size: FrameSize) -> Result<Clip, Error> {
        let (sampling, size) = (sampling.checked()?, size.checked()?);
        let source = Source::open(path, &self.limits)?;
        let deadline = Deadline::starting_now(path, self.limits.deadline);
        let job = Sampler {
            tools: self,
            source: &source,
            size,
            deadline: &deadline,
        };
        let Some(cache) = &self.cache else {
            // Hashing and decoding read the same bytes at the same time.
            let (hashed, frames) = thread::scope(|scope| {
                let hashing = scope.spawn(|| hash::file(source.path()));
                let frames = job.sample(sampling);
                (hashing.join().expect("hashing does not panic"), frames)
            });
            return Ok(Clip {
                frames: frames?,
                source_sha256: hashed?,
            });
        };
        let source_sha256 = hash::file(source.path())?;
        let entry = cache.entry(&source_sha256, sampling, size);
        if let Some(frames) = entry.read(&self.limits) {
            return Ok(Clip {
                frames,
                source_sha256,
            });
        }
        let clip = Clip {
            frames: job.sample(sampling)?,
            source_sha256,
        };
        entry.write(&clip.frames)?;
        Ok(clip)
    }
}

impl FrameSize {
    fn checked(self) -> Result<Self, Error> {
        let check = |name, pixels: u32| {
            let fine = (1..=65_535).contains(&pixels);
            fine.then_some(()).ok_or_else(|| Error::Setting {
                name,
                value: pixels.to_string(),
                remedy: "1 to 65535 pixels",
            })
        };
        match self {
            Self::Native => {}
            Self::Exact { width, height } => {
                check("width", width)?;
                check("height", height)?;
            }
            Self::Within { long_edge } => check("long_edge", long_edge)?,
        }
        Ok(self)
    }
}
