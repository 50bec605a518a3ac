//! How much of the reference answer's wording a completion's answer has.

use safety::rouge::rouge_mean;

use super::{Judged, Reward};
use crate::BoxError;

/// Mean F-measure of ROUGE-1, 2 and L between the contents of `<answer>`. 0 without a whole answer.
pub struct RougeF;

impl Reward for RougeF {
    fn name(&self) -> &'static str {
        "rouge"
    }

    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        let reference = rollout.reference()?;
        let answer = rollout.answer();
        Ok(answer.map_or(0.0, |answer| rouge_mean(reference, answer) as f32))
    }
}
