//! A chat with a model, whichever it is: what is asked ([`request`]), what comes back ([`reply`]),
//! the trait every model answers to ([`model`]), and a model with a script for tests ([`scripted`]).
//!
//! Knows no tensor and, so far, no network: a model is local weights behind an adapter, or a script.

#![warn(missing_docs)]

pub mod model;
pub mod reply;
pub mod request;
pub mod scripted;

pub use model::{ChatModel, Progress};
pub use reply::{AlarmScores, ChatError, Finish, Reply};
pub use request::{ChatRequest, Generation, Media};
