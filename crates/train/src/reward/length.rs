//! The soft punishment of overlong completions (DAPO, arXiv 2503.14476).

use super::{Judged, Reward};
use crate::BoxError;

/// In a recipe.
pub const NAME: &str = "length";

/// Share of the token limit in which the punishment grows: DAPO's 4096 of 20480.
const TAIL: f64 = 0.2;

/// 0 up to four fifths of the token limit, from there falling evenly to −1 at the limit.
pub struct Length;

impl Reward for Length {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        let share = rollout.tokens as f64 / rollout.max_tokens as f64;
        let over = (share - (1.0 - TAIL)) / TAIL;
        Ok(-over.clamp(0.0, 1.0) as f32)
    }
}
