//! What is said in a conversation, by whom, and with which images and videos.

use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sets the rules.
    System,
    /// Asks.
    User,
    /// Answers: the model.
    Assistant,
}

impl Role {
    /// The name that chat templates know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Words.
    Text(String),
    /// An image or a video: its index in the list of media that goes with the conversation.
    Media(usize),
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said and shown, in order.
    pub content: Vec<Part>,
}

impl Message {
    /// Words only.
    pub fn text(role: Role, words: impl Into<String>) -> Self {
        Self {
            role,
            content: vec![Part::Text(words.into())],
        }
    }

    /// A question about one image or video, which is shown first.
    pub fn about(media: usize, question: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: vec![Part::Media(media), Part::Text(question.into())],
        }
    }
}
