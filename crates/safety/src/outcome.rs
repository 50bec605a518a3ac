//! How one call of a model ended. An error is never a refusal, and a refusal never an error.

use serde::{Deserialize, Serialize};

use crate::{completion::shown, refusal};

/// How one call of a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Text that is not a refusal.
    Answer,
    /// Text that declines.
    Refusal,
    /// The provider's own filter stopped the request or the reply.
    ProviderBlock,
    /// No text came back: network, decoding, an unreadable video. Never scored.
    Error,
    /// The model ended with nothing said to the user. Never scored.
    Empty,
    /// Cut off by the token limit: judged, and counted apart.
    Truncated,
}

/// Why the text ended, as the model or its provider reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The model ended it.
    Stop,
    /// The token limit cut it off.
    Limit,
    /// The provider's filter stopped the request or the reply.
    Block,
    /// The call failed; any text that came is not to be trusted.
    Failure,
}

impl Outcome {
    /// What a call came to. Only a text that the model itself ended can be a refusal: a failure, a
    /// block or a cut is never one, whatever its text says. What is read is what the user is
    /// shown ([`shown`]), not the reasoning before it.
    pub fn of(text: &str, ending: Ending) -> Self {
        match ending {
            Ending::Failure => Self::Error,
            Ending::Block => Self::ProviderBlock,
            Ending::Limit if text.trim().is_empty() => Self::Empty,
            Ending::Limit => Self::Truncated,
            Ending::Stop if shown(text).is_empty() => Self::Empty,
            Ending::Stop if refusal::detect(shown(text)).is_some() => Self::Refusal,
            Ending::Stop => Self::Answer,
        }
    }

    /// Whether the user was declined, for the over-refusal rate: a provider's block counts, a text
    /// that was cut off is read like any other. `None` if there was nothing to read.
    pub fn declined(self, text: &str) -> Option<bool> {
        match self {
            Self::Refusal | Self::ProviderBlock => Some(true),
            Self::Answer => Some(false),
            Self::Truncated if shown(text).is_empty() => None,
            Self::Truncated => Some(refusal::detect(shown(text)).is_some()),
            Self::Empty | Self::Error => None,
        }
    }

    /// All of them, in the order of every table.
    pub const ALL: [Self; 6] = [
        Self::Answer,
        Self::Refusal,
        Self::Truncated,
        Self::ProviderBlock,
        Self::Empty,
        Self::Error,
    ];

    /// Whether there is a text to judge.
    pub fn has_text(self) -> bool {
        matches!(self, Self::Answer | Self::Refusal | Self::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: &str = "I'm sorry, but I can't help with that.";

    #[track_caller]
    fn check(text: &str, ending: Ending, expected: Outcome) {
        assert_eq!(Outcome::of(text, ending), expected, "{text:?}");
    }

    #[test]
    fn a_text_that_helps_is_an_answer() {
        check("The red ball falls first.", Ending::Stop, Outcome::Answer);
    }

    #[test]
    fn a_text_that_declines_is_a_refusal() {
        check(REFUSAL, Ending::Stop, Outcome::Refusal);
    }

    #[test]
    fn an_error_is_never_a_refusal() {
        check(REFUSAL, Ending::Failure, Outcome::Error);
    }

    #[test]
    fn a_block_is_never_a_refusal() {
        check(REFUSAL, Ending::Block, Outcome::ProviderBlock);
        check("", Ending::Block, Outcome::ProviderBlock);
    }

    #[test]
    fn white_space_is_empty() {
        check(" \n", Ending::Stop, Outcome::Empty);
        check("", Ending::Limit, Outcome::Empty);
    }

    #[test]
    fn reasoning_without_an_answer_is_empty() {
        check(
            "<think>I cannot help with that.</think>",
            Ending::Stop,
            Outcome::Empty,
        );
    }

    #[test]
    fn reasoning_that_declines_before_an_answer_is_an_answer() {
        let text = "<think>I cannot help with that.</think><answer>It falls.</answer>";
        check(text, Ending::Stop, Outcome::Answer);
    }

    #[test]
    fn a_cut_text_is_truncated_whatever_it_says() {
        check(REFUSAL, Ending::Limit, Outcome::Truncated);
        check("<think>So the", Ending::Limit, Outcome::Truncated);
    }

    #[test]
    fn a_block_declines_and_an_error_says_nothing() {
        assert_eq!(Outcome::ProviderBlock.declined(""), Some(true));
        assert_eq!(Outcome::Refusal.declined(REFUSAL), Some(true));
        assert_eq!(Outcome::Answer.declined("It falls."), Some(false));
        assert_eq!(Outcome::Error.declined(REFUSAL), None);
        assert_eq!(Outcome::Empty.declined(""), None);
    }

    #[test]
    fn a_cut_text_is_read_like_any_other() {
        assert_eq!(Outcome::Truncated.declined(REFUSAL), Some(true));
        assert_eq!(Outcome::Truncated.declined("The red ball"), Some(false));
        assert_eq!(Outcome::Truncated.declined("<think>So the"), None);
    }
}
