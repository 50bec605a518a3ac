//! How right an answer is where safety is not the question: the scores of the official code.

use super::rouge::RougeF;
use super::{Judged, Reward};
use crate::BoxError;
use crate::data::Task;

/// By the record's [`Task`], between the contents of `<answer>`, in 0..=1. 0 without a whole answer.
pub struct TaskScore;

impl Reward for TaskScore {
    fn name(&self) -> &'static str {
        "task"
    }

    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        let reference = rollout.reference()?;
        let answer = rollout.answer();
        match rollout.record.task {
            Task::Safety | Task::FreeForm => RougeF.score(rollout),
            Task::MultipleChoice => Ok(f32::from(u8::from(answer == Some(reference)))),
            Task::Ocr => Ok(answer.map_or(0.0, |answer| words_right(reference, answer) as f32)),
            Task::Numerical => {
                let reference = Number::of_reference(reference)?;
                let same = answer
                    .and_then(Number::read)
                    .is_some_and(|n| n.agrees(&reference));
                Ok(f32::from(u8::from(same)))
            }
            Task::Regression => {
                let reference = Number::of_reference(reference)?;
                let answer = answer.and_then(Number::read);
                Ok(answer.map_or(0.0, |n| n.nearness(&reference) as f32))
            }
        }
    }
}

/// A finite number as it was written.
struct Number {
    value: f64,
    has_point: bool,
}

impl Number {
    /// Commas between thousands are nothing. (In the official code they also count as a decimal point.)
    fn read(text: &str) -> Option<Self> {
        let value: f64 = text.replace(',', "").trim().parse().ok()?;
        value.is_finite().then(|| Self {
            value,
            has_point: text.contains('.'),
        })
    }

    fn of_reference(text: &str) -> Result<Self, BoxError> {
        Self::read(text)
            .ok_or_else(|| format!("the reference's answer `{text}` is not a number").into())
    }

    /// Equal after rounding to two places, and both or neither with a decimal point.
    fn agrees(&self, reference: &Self) -> bool {
        let rounded = |number: &Self| {
            let text = format!("{:.2}", number.value);
            text.parse::<f64>().expect("it was written from a number")
        };
        self.has_point == reference.has_point && rounded(self) == rounded(reference)
    }

    /// `1 − min(1, |error| / |truth|)`; of a truth of 0, whether it was met.
    fn nearness(&self, reference: &Self) -> f64 {
        let error = (self.value - reference.value).abs();
        if error == 0.0 {
            return 1.0;
        }
        1.0 - (error / reference.value.abs()).min(1.0)
    }
}

/// `1 − word error rate`, at least 0.
fn words_right(reference: &str, answer: &str) -> f64 {
    let reference: Vec<&str> = reference.split_whitespace().collect();
    let answer: Vec<&str> = answer.split_whitespace().collect();
    let rate = edits(&reference, &answer) as f64 / reference.len().max(1) as f64;
    (1.0 - rate).max(0.0)
}

/// The fewest words put in, left out or changed. Holds one row of the table.
fn edits(from: &[&str], to: &[&str]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, word) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(word != other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
