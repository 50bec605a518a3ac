//! What is asked of a feed: conversations, each with at most one video or image.

use model::{Message, Purpose, Role};

use crate::data::{Medium, Record};

/// One conversation as the model is to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// Names it in messages: that of its record.
    pub id: String,
    /// What is said.
    pub messages: Vec<Message>,
    /// What part 0 of the messages shows.
    pub medium: Option<Medium>,
    /// Whether answers are learnt, or one is still to be given.
    pub purpose: Purpose,
}

impl Conversation {
    /// To learn every answer of the record.
    pub fn learn(record: &Record) -> Self {
        Self {
            id: record.id.clone(),
            messages: record.messages(),
            medium: record.medium(),
            purpose: Purpose::Training,
        }
    }

    /// To let the model answer the record's first question.
    pub fn ask(record: &Record) -> Self {
        Self {
            messages: record.prompt(),
            purpose: Purpose::Generation,
            ..Self::learn(record)
        }
    }

    /// To learn `answer` to the record's first question: each half of a preference pair.
    pub fn answered(record: &Record, answer: &str) -> Self {
        let mut messages = record.prompt();
        messages.push(Message::text(Role::Assistant, answer));
        Self {
            messages,
            ..Self::learn(record)
        }
    }
}
