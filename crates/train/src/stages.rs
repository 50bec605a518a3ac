//! What each training stage minimises, one a file, and how its model gets to disk.

pub mod folder;
pub mod sft;
