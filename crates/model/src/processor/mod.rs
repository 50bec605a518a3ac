//! Frames and words become what the model takes.

pub mod vision_input;

pub use vision_input::{MediaKind, VisionInput};
