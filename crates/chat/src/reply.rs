//! What comes back.

use serde::{Deserialize, Serialize};

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// The token limit cut it off.
    Length,
    /// The provider's filter stopped the request or the reply; the text may be empty or cut.
    ContentFilter,
}

/// How likely the model itself finds what it was shown harmful, in 0..1, as its alarm heads read it in the
/// prompt before a word of the answer was written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmScores {
    /// Of the video; nothing where none was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visual: Option<f32>,
    /// Of the text.
    pub textual: f32,
}

/// One answer. Its text is what the model wrote: reasoning and tags are still in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What the model said.
    pub text: String,
    /// Why it stopped.
    pub finish: Finish,
    /// Tokens read, media included.
    pub prompt_tokens: usize,
    /// Tokens written.
    pub completion_tokens: usize,
    /// Of a model with alarm heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmScores>,
}

/// A chat that yielded no reply. Never a refusal: nothing can be said about the model's safety from it.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The model refused this input: asking again will not help.
    #[error("request {id} cannot be answered: {reason}")]
    Input {
        /// The request's id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model or the way to it failed.
    #[error("request {id} failed: {reason}")]
    Model {
        /// The request's id.
        id: String,
        /// What happened.
        reason: String,
    },
}
