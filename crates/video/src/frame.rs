//! What decoding yields: frames with their times and fingerprints.

use serde::{Deserialize, Serialize};

use crate::hash;

/// A time or a length in seconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub f64);

/// One RGB frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height × width × 3` bytes, row by row, red first.
    pub rgb: Vec<u8>,
    /// When it is shown, from the start of the video.
    pub seconds: Seconds,
}

impl Frame {
    /// SHA-256 of [`Frame::rgb`], lower-case hexadecimal: what `hashlib.sha256(array.tobytes())`
    /// gives for the frame as a NumPy array of shape `[height, width, 3]`.
    pub fn sha256(&self) -> String {
        hash::bytes(&self.rgb)
    }
}

/// The frames sampled from one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// In the order of time; at least one, all of one size.
    pub frames: Vec<Frame>,
    /// Of the source file's bytes, lower-case hexadecimal; of a folder see
    /// [`crate::Decoder::folder`].
    pub source_sha256: String,
}
