//! A benchmark times a model becomes scores, in reading order: the benchmark's folder ([`mod@format`]),
//! how its media are shown ([`condition`], [`frames`], `ahead`), the questions put to a model
//! ([`evaluate`], `ask`) and written down ([`journal`], [`run`], [`thumbnails`]), what a judge says of the answers
//! ([`judge`]) and what all of it adds up to ([`score`], [`results`]).
//!
//! Knows no tensor: a model is whatever answers to [`chat::ChatModel`].

#![warn(missing_docs)]

mod ahead;
mod aside;
mod ask;
pub mod condition;
pub mod error;
pub mod evaluate;
pub mod format;
pub mod frames;
pub mod journal;
pub mod judge;
mod lines;
pub mod results;
pub mod run;
pub mod score;
pub mod thumbnails;

pub use condition::Condition;
pub use error::{Error, Result};
pub use format::Benchmark;
pub use journal::Record;
pub use results::Results;
pub use run::{Run, Settings};
