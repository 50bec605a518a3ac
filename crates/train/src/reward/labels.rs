//! Whether a completion says rightly that the video and the query are safe or harmful.

use safety::completion::parse;

use super::{Judged, Reward};
use crate::BoxError;

/// 1 if the label in a tag of the completion is the sample's, else 0: also if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelIsRight {
    /// Of the video, in `<vidType>`.
    Visual,
    /// Of the query, in `<textType>`.
    Textual,
}

impl Reward for LabelIsRight {
    fn name(&self) -> &'static str {
        match self {
            Self::Visual => "visual",
            Self::Textual => "textual",
        }
    }

    /// The sample's label is that of its record, else that in the reference's tag.
    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        let said = parse(rollout.completion);
        let reference = parse(&rollout.record.answer);
        let labels = rollout.record.labels;
        let (said, label) = match self {
            Self::Visual => (said.video(), labels.visual.or_else(|| reference.video())),
            Self::Textual => (said.text(), labels.textual.or_else(|| reference.text())),
        };
        let label = label.ok_or_else(|| {
            let name = self.name();
            format!("there is no {name} label: add it, or set `{name}_weight` to 0 and `alpha` to a fixed one")
        })?;
        Ok(f32::from(u8::from(said == Some(label))))
    }
}
