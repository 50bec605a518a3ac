//! How good a rollout is (arXiv 2505.16643), one reward a file: [`mod@format`], [`rouge`],
//! [`labels`] and [`task`]s other than safety, what weighs them ([`alpha`], [`settings`]), their sum
//! ([`total`]) and what a user may add ([`named`]).
//!
//! A reward is a number because of what the completion says. One that cannot be computed, because of
//! the reference or of the world, is an error and never 0.

pub mod alpha;
pub mod format;
pub mod labels;
pub mod length;
pub mod rouge;
pub mod settings;
pub mod task;
pub mod total;

use model::generate::Stop;
use safety::completion::{Part, parse};

use crate::BoxError;
use crate::data::Record;

/// A completion and what it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// What was asked, and the reference: its answer holds the tags.
    pub record: &'a Record,
    /// What the model wrote, without its stop token.
    pub completion: &'a str,
    /// What the model wrote, in tokens.
    pub tokens: usize,
    /// As many tokens it might have written.
    pub max_tokens: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// Something that a rollout can be rewarded for. To add one: a file beside these, and a line in [`named`].
pub trait Reward: Sync {
    /// As it is called in recipes, logs and errors.
    fn name(&self) -> &str;

    /// The score, before its weight. Error: what could not be read of the reference, or reached; it
    /// need name neither the reward nor the sample.
    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError>;
}

/// Names that [`named`] knows.
pub const NAMED: [&str; 1] = [length::NAME];

/// A reward beyond those of the paper, by its name in a recipe.
pub fn named(name: &str) -> Option<Box<dyn Reward>> {
    match name {
        length::NAME => Some(Box::new(length::Length)),
        _ => None,
    }
}

impl<'a> Judged<'a> {
    /// What the completion says in its `<answer>`, trimmed; absent if there is no whole one.
    pub fn answer(&self) -> Option<&'a str> {
        parse(self.completion).answer.whole().map(str::trim)
    }

    /// What the reference says in its `<answer>`, trimmed.
    pub fn reference(&self) -> Result<&'a str, BoxError> {
        match parse(&self.record.answer).answer {
            Part::Whole(answer) => Ok(answer.trim()),
            Part::Missing => Err("the reference has no <answer>".into()),
            Part::Unclosed(_) => Err("the <answer> of the reference is never closed".into()),
        }
    }
}
