//! How one call of a model ended. An error is never a refusal, and a refusal never an error.

use serde::{Deserialize, Serialize};

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
    /// The model stopped at once, with nothing said. Never scored.
    Empty,
    /// Cut off by the token limit: judged, and counted apart.
    Truncated,
}

impl Outcome {
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
