//! Frames out of a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::probe::Probe;
use crate::{Clip, Error, Sampling};

/// The size that frames are brought to while they are decoded.
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

/// What one file may cost.
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
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(300),
            file_bytes: 16 << 30,
            frame_pixels: 8192 * 8192,
            frames: 16_384,
            output_bytes: 2 << 30,
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(8)),
        }
    }
}

/// Reads files through `ffmpeg`, within limits.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// The `ffmpeg` program.
    pub ffmpeg: PathBuf,
    /// The `ffprobe` program.
    pub ffprobe: PathBuf,
    /// What one file may cost.
    pub limits: Limits,
    /// Where decoded clips are kept, if anywhere.
    pub cache: Option<Cache>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { ffmpeg: "ffmpeg".into(), ffprobe: "ffprobe".into(), limits: Limits::default(), cache: None }
    }
}

impl Decoder {
    /// What the file is.
    pub fn probe(&self, path: &Path) -> Result<Probe, Error> {
        Err(Error::NoVideo { path: path.into() })
    }
    /// The sampled frames of a video file.
    pub fn video(&self, path: &Path, _sampling: Sampling, _size: FrameSize) -> Result<Clip, Error> {
        Err(Error::NoVideo { path: path.into() })
    }
    /// The images of a folder in name order, as a video of `fps` frames a second.
    pub fn folder(&self, path: &Path, _fps: f64) -> Result<Clip, Error> {
        Err(Error::NoVideo { path: path.into() })
    }
    /// An image as a clip of one frame.
    pub fn image(&self, path: &Path) -> Result<Clip, Error> {
        Err(Error::NoVideo { path: path.into() })
    }
}
