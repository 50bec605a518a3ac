//! What can go wrong between a path and its frames. Each message names the file.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a file gave no frames.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused: missing, no permission, a failing disk.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, device, pipe or socket where a regular file must stand.
    #[error("{} is {kind}, not a regular file", path.display())]
    NotAFile {
        /// The file asked for.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The file has no bytes.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file is larger than [`crate::Limits::file_bytes`].
    #[error("{} has {bytes} bytes, the limit is {limit}", path.display())]
    TooBig {
        /// The file asked for.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit it broke.
        limit: u64,
    },
    /// `ffmpeg` or `ffprobe` could not be started.
    #[error("cannot start {}: install ffmpeg, or say where it is", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The container holds no moving picture: sound only, or not a video at all.
    #[error("{} has no video stream", path.display())]
    NoVideo {
        /// The file asked for.
        path: PathBuf,
    },
    /// There is a video stream, but no frame came out of it.
    #[error("{} has no frame that can be decoded{}", path.display(), after(said))]
    NoFrames {
        /// The file asked for.
        path: PathBuf,
        /// The decoder's last lines; may be empty.
        said: String,
    },
    /// `ffprobe` or `ffmpeg` gave up.
    #[error("{} cannot be decoded{}", path.display(), after(said))]
    Decode {
        /// The file asked for.
        path: PathBuf,
        /// The decoder's last lines; may be empty.
        said: String,
    },
    /// Decoding took longer than [`crate::Limits::deadline`] and was ended.
    #[error("{} took longer than {} s to decode", path.display(), limit.as_secs_f64())]
    Deadline {
        /// The file asked for.
        path: PathBuf,
        /// The limit it broke.
        limit: Duration,
    },
    /// A frame has more pixels than [`crate::Limits::frame_pixels`].
    #[error("{} has frames of {width}x{height}, the limit is {limit} pixels", path.display())]
    Pixels {
        /// The file asked for.
        path: PathBuf,
        /// Pixels a row.
        width: u64,
        /// Rows.
        height: u64,
        /// The limit it broke.
        limit: u64,
    },
    /// More frames were asked for than [`crate::Limits::frames`].
    #[error("{} gives more than {limit} frames: sample fewer", path.display())]
    Frames {
        /// The file asked for.
        path: PathBuf,
        /// The limit it broke.
        limit: usize,
    },
    /// The frames together are larger than [`crate::Limits::output_bytes`].
    #[error("{} gives more than {limit} bytes of frames: sample fewer or smaller ones", path.display())]
    Output {
        /// The file asked for.
        path: PathBuf,
        /// The limit it broke.
        limit: u64,
    },
    /// A folder of images without an image.
    #[error("{} holds no image", path.display())]
    NoImages {
        /// The folder asked for.
        path: PathBuf,
    },
    /// Two images of one folder differ in size.
    #[error("{} is {width}x{height}, the images before it are {first_width}x{first_height}", path.display())]
    MixedSizes {
        /// The first image that differs.
        path: PathBuf,
        /// Its pixels a row.
        width: u32,
        /// Its rows.
        height: u32,
        /// Pixels a row of the folder's first image.
        first_width: u32,
        /// Rows of the folder's first image.
        first_height: u32,
    },
    /// A sampling rule or frame size that means nothing, such as zero frames a second.
    #[error("{name} is {value}: {remedy}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        remedy: &'static str,
    },
    /// An entry of the frame cache could not be written.
    #[error("cannot write the cached frames {}", path.display())]
    Cache {
        /// The entry.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The decoder's own words, set apart from ours.
fn after(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    }
}
