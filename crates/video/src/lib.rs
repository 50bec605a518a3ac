//! A video file becomes frames, in reading order: what the file is ([`probe`]), which frames are
//! wanted ([`sampling`]), how they are got ([`decode`]), brought to size ([`resize`]) and recognised
//! again ([`hash`], [`cache`]).
//!
//! Videos are hostile input: every file is read by an `ffmpeg` child process with limits.

#![warn(missing_docs)]

pub mod cache;
pub mod decode;
pub mod error;
pub mod frame;
pub mod hash;
pub mod probe;
pub mod resize;
pub mod sampling;

pub use decode::{Decoder, FrameSize, Limits};
pub use error::Error;
pub use frame::{Clip, Frame, Seconds};
pub use sampling::Sampling;
