//! What each sample shows, made ready while the model still works on the samples before it, within a
//! budget of memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use chat::Media;
use safety::Sample;
use tokio::sync::Notify;
use video::Clip;

use crate::frames::FrameSource;
use crate::journal::FrameMark;
use crate::{Condition, thumbnails};

/// While decoded frames hold more bytes than this, no further video is begun.
const BUDGET: u64 = 1 << 30;

/// What the model is shown in one condition, and its marks for the journal.
#[derive(Clone, Default)]
pub(crate) struct Shown {
    pub(crate) media: Vec<Media>,
    pub(crate) frames: Vec<FrameMark>,
}

impl Shown {
    fn of(condition: Condition, clip: &Arc<Clip>) -> Self {
        let media = condition.media(Some(clip));
        let mark = |frame: &video::Frame| FrameMark {
            seconds: frame.seconds.0,
            sha256: frame.sha256(),
        };
        let clips = media.iter().map(|media| match media {
            Media::Video(clip) | Media::Image(clip) => clip,
        });
        let frames = clips.flat_map(|clip| &clip.frames).map(mark).collect();
        Self { media, frames }
    }
}

/// One sample, ready to be asked. Its frames are freed with it.
pub(crate) struct Ready {
    shown: Result<BTreeMap<Condition, Shown>, String>,
    _held: Option<Held>,
}

impl Ready {
    /// A sample of which nothing is shown.
    pub(crate) fn without_video() -> Self {
        Self {
            shown: Ok(BTreeMap::new()),
            _held: None,
        }
    }

    /// What the model is shown in `condition`, or why nothing can be.
    pub(crate) fn shown(&self, condition: Condition) -> Result<Shown, String> {
        match &self.shown {
            _ if !condition.needs_video() => Ok(Shown::default()),
            Ok(shown) => shown
                .get(&condition)
                .cloned()
                .ok_or_else(|| "the sample has no video".to_owned()),
            Err(reason) => Err(reason.clone()),
        }
    }
}

/// Where the frames of one sample come from and go to.
pub(crate) struct Job {
    pub(crate) source: Arc<dyn FrameSource>,
    pub(crate) sample: Sample,
    pub(crate) video: PathBuf,
    /// Each is prepared once, however often it is asked.
    pub(crate) conditions: Vec<Condition>,
    /// Folder of the pictures for the report.
    pub(crate) pictures: PathBuf,
}

/// Decodes the sample's video away from the threads that wait for answers, when there is room.
pub(crate) async fn ready(job: Job, room: &Arc<Room>) -> Ready {
    room.wait().await;
    let room = Arc::clone(room);
    let decoding = tokio::task::spawn_blocking(move || {
        let clip = Arc::new(job.source.frames(&job.sample, &job.video)?);
        if let Err(error) = thumbnails::save(&clip, &job.pictures) {
            // A report without a picture is better than a run without an answer.
            tracing::warn!(sample = job.sample.id, %error, "no pictures of this video");
        }
        let bytes = clip.frames.iter().map(|frame| frame.rgb.len() as u64).sum();
        let held = room.hold(bytes);
        let show = |condition: &Condition| (*condition, Shown::of(*condition, &clip));
        Ok((job.conditions.iter().map(show).collect(), held))
    });
    let decoded = decoding
        .await
        .unwrap_or_else(|error| Err(format!("decoding ended abnormally: {error}")));
    match decoded {
        Ok((shown, held)) => Ready {
            shown: Ok(shown),
            _held: Some(held),
        },
        Err(reason) => Ready {
            shown: Err(reason),
            _held: None,
        },
    }
}

/// The memory that decoded frames may take together. How much a video takes is known when it is
/// decoded, so the budget may be passed by the videos that are being decoded at that moment.
pub(crate) struct Room {
    budget: u64,
    held: Mutex<u64>,
    /// Samples pass in their order: a later one never takes the room of the one that is asked next.
    turn: tokio::sync::Mutex<()>,
    freed: Notify,
}

impl Room {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(BUDGET)
    }

    fn of(budget: u64) -> Arc<Self> {
        Arc::new(Self {
            budget,
            held: Mutex::new(0),
            turn: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
        })
    }

    async fn wait(&self) {
        let _turn = self.turn.lock().await;
        while self.held() > self.budget {
            self.freed.notified().await;
        }
    }

    fn held(&self) -> u64 {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(self: Arc<Self>, bytes: u64) -> Held {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
        Held { room: self, bytes }
    }
}

/// Gives its bytes back when it is dropped.
struct Held {
    room: Arc<Room>,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        *self
            .room
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        // Only the one whose turn it is waits; without one, the permit waits for it.
        self.room.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn nobody_passes_while_more_is_held_than_the_budget() {
        let room = Room::of(10);
        room.wait().await;
        let first = Arc::clone(&room).hold(11);
        let mut waiting = std::pin::pin!(room.wait());
        assert!(poll!(&mut waiting).is_pending());
        drop(first);
        assert!(poll!(&mut waiting).is_ready());
    }

    #[tokio::test]
    async fn those_who_wait_pass_in_their_order() {
        let room = Room::of(0);
        let first = Arc::clone(&room).hold(1);
        let mut second = std::pin::pin!(room.wait());
        let mut third = std::pin::pin!(room.wait());
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        drop(first);
        assert!(poll!(&mut third).is_pending());
        assert!(second.now_or_never().is_some());
        assert!(poll!(&mut third).is_ready());
    }
}
