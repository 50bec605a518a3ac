//! What one file may cost.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

/// What one file may cost. A file that would cost more gives an error, never fewer frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for one file, all passes together.
    pub deadline: Duration,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Pixels of one frame, before scaling and after.
    pub frame_pixels: u64,
    /// Frames of one clip.
    pub frames: usize,
    /// Bytes of one clip's frames.
    pub output_bytes: u64,
    /// Decoder threads of one file.
    pub threads: usize,
}

impl Default for Limits {
    /// Five minutes, 16 GiB of file, 8192 × 8192 pixels, 16,384 frames, 2 GiB of frames, and as many
    /// threads as ffmpeg would take: one more than there are cores, up to 16.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(300),
            file_bytes: 16 << 30,
            frame_pixels: 8192 * 8192,
            frames: 16_384,
            output_bytes: 2 << 30,
            threads: thread::available_parallelism()
                .map_or(1, |cores| cores.get() + 1)
                .min(16),
        }
    }
}

/// The moment at which the work on one file ends, finished or not.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    path: PathBuf,
    end: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn starting_now(path: &Path, limit: Duration) -> Self {
        let now = Instant::now();
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        let end = now.checked_add(limit).unwrap_or_else(|| now + century);
        Self {
            path: path.into(),
            end,
            limit,
        }
    }

    pub(crate) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    pub(crate) fn passed(&self) -> Error {
        Error::Deadline {
            path: self.path.clone(),
            limit: self.limit,
        }
    }
}
