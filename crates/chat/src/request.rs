//! What is asked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use video::Clip;

/// What the user shows with the question. Frames are as decoded: each model brings them to its own size.
#[derive(Clone, Debug)]
pub enum Media {
    /// Frames with their times.
    Video(Arc<Clip>),
    /// One still image: a clip of one frame.
    Image(Arc<Clip>),
}

/// How the answer is decoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Generation {
    /// The answer is cut after so many tokens.
    pub max_tokens: usize,
    /// 0 is greedy.
    pub temperature: f64,
    /// Nucleus; 1 keeps every token.
    pub top_p: f64,
    /// Keep only so many tokens; 0 keeps every token.
    pub top_k: usize,
    /// Of the sampling; not used when greedy.
    pub seed: u64,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            max_tokens: 512,
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            seed: 0,
        }
    }
}

/// One question: a single user turn, perhaps with media, perhaps under a system prompt.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// Names the request in errors and events: the sample's id.
    pub id: String,
    /// The system prompt; `None` leaves the model its own.
    pub system: Option<String>,
    /// Shown before the text, in this order.
    pub media: Vec<Media>,
    /// The question.
    pub text: String,
    /// How the answer is decoded.
    pub generation: Generation,
}
