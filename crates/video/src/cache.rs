//! Decoded clips on disk.
/// A folder of decoded clips.
#[derive(Clone, Debug)]
pub struct Cache {}
