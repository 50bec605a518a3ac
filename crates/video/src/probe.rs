//! What a file is.
/// What `ffprobe` says of a file's first moving picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {}
