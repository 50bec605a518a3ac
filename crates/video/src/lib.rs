//! A video file becomes frames, in reading order: what the file is ([`probe`]), which frames are
//! wanted ([`sampling`]), how they are got ([`decode`], [`folder`] for still images, [`pool`] for
//! many files), brought to size ([`resize`]) and recognised again ([`hash`], [`cache`]).
//!
//! Videos are hostile input: every file is read by an `ffmpeg` child process with limits.

#![warn(missing_docs)]

pub mod cache;
mod child;
pub mod decode;
pub mod error;
mod extract;
pub mod folder;
pub mod frame;
pub mod hash;
pub mod limits;
mod passes;
pub mod pool;
pub mod probe;
pub mod resize;
pub mod sampling;
mod source;

pub use cache::Cache;
pub use decode::{Decoder, FrameSize};
pub use error::Error;
pub use frame::{Clip, Frame, Seconds};
pub use limits::Limits;
pub use probe::Probe;
pub use sampling::Sampling;
