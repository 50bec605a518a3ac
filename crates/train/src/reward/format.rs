//! Whether a completion keeps to the format.

use safety::completion::parse;

use super::{Judged, Reward};
use crate::BoxError;

/// 1 if the whole completion is the four tags in order, each once, with only white space between, else 0.
pub struct Format;

impl Reward for Format {
    fn name(&self) -> &'static str {
        "format"
    }

    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        Ok(f32::from(u8::from(parse(rollout.completion).strict)))
    }
}
