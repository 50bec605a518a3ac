//! VideoLLaMA3: frames and a question become an answer.
//!
//! In reading order: what a checkpoint says of itself ([`config`], [`names`], [`weights`]), how
//! frames become patches and a conversation becomes tokens ([`processor`], [`template`],
//! [`tokenizer`], [`sequence`]), the network (vision, projector, decoder, [`alarm`], joined in
//! [`network`]; [`lora`] puts adapters on it; [`packing`] joins sequences for it, [`recompute`] trades
//! its memory for time), and text out of it ([`sampling`], [`generate`]).

#![warn(missing_docs)]

pub mod alarm;
pub mod config;
pub mod decoder;
pub mod error;
pub mod generate;
pub mod lora;
pub mod message;
pub mod names;
pub mod network;
mod ops;
pub mod packing;
pub mod processor;
mod projector;
pub mod recompute;
pub mod rollout;
pub mod sampling;
pub mod sequence;
mod tape;
pub mod template;
pub mod tokenizer;
pub mod vision;
pub mod weights;

pub use alarm::Alarm;
pub use config::Config;
pub use error::{Error, Result};
pub use lora::LoraConfig;
pub use message::{Message, Part, Role};
pub use network::VideoLlama3;
pub use packing::{Packing, Segment};
pub use processor::{Media, MediaKind, Prepared, Processor, VisionInput};
pub use recompute::Recompute;
pub use sequence::{Purpose, Sequence};
pub use tokenizer::Tokenizer;
pub use weights::Weights;
