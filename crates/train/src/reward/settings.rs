//! What a recipe says about rewards.

use serde::{Deserialize, Serialize};

use super::alpha::Alpha;

/// `r = format + α·rouge + γv·visual + γt·textual` and what is added to it. The defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSettings {
    /// α, the weight of the answer's wording.
    pub alpha: Alpha,
    /// γv, the weight of the video's label.
    pub visual_weight: f64,
    /// γt, the weight of the query's label.
    pub textual_weight: f64,
    /// Rewards of [`super::named`] that are added, for every task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Extra>,
    /// Rewards that a server computes, for every task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<Endpoint>,
}

impl Default for RewardSettings {
    fn default() -> Self {
        Self {
            alpha: Alpha::default(),
            visual_weight: 1.0,
            textual_weight: 1.0,
            extra: Vec::new(),
            http: Vec::new(),
        }
    }
}

/// A reward of this crate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// Of [`super::NAMED`].
    pub name: String,
    /// What its score is multiplied with.
    #[serde(default = "one")]
    pub weight: f64,
}

/// A reward of somebody's server, such as a judge model. Who trains makes the calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// As it is called in logs.
    pub name: String,
    /// Where rollouts are sent.
    pub url: String,
    /// What its score is multiplied with.
    #[serde(default = "one")]
    pub weight: f64,
    /// Longest wait for a score.
    #[serde(default = "minute")]
    pub timeout_seconds: f64,
}

fn one() -> f64 {
    1.0
}

fn minute() -> f64 {
    60.0
}
