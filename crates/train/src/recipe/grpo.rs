//! Group-relative policy optimisation (arXiv:2402.03300), with the paper's numbers as defaults
//! (arXiv 2505.16643, section 4.3, and its code).

use serde::{Deserialize, Serialize};

use super::refused;
use crate::Error;
use crate::advantage::Scale;
use crate::loss::kl::Kl;
use crate::loss::policy::{Aggregation, PolicySettings};
use crate::reward::settings::RewardSettings;

/// How rollouts are drawn, scored and learnt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grpo {
    /// Rollouts of each prompt; two or more.
    pub group: usize,
    /// Longest completion in tokens.
    pub max_tokens: usize,
    /// Of the draws; the loss sees the policy at temperature 1.
    pub temperature: f64,
    /// The smallest set of the likeliest tokens whose probability reaches this; 1 is all.
    pub top_p: f64,
    /// Only so many of the likeliest tokens; 0 is all.
    pub top_k: usize,
    /// Optimizer steps on the same rollouts.
    pub updates: usize,
    /// The ratio of new to old probability is clipped below at 1 less this.
    pub clip_low: f64,
    /// And above at 1 more than this; larger than `clip_low` is clip-higher (arXiv:2503.14476).
    pub clip_high: f64,
    /// Weight of the KL term; 0 drops the reference model.
    pub beta: f64,
    /// How the KL divergence is estimated.
    pub kl: Kl,
    /// What the policy is held to.
    pub reference: Reference,
    /// How the tokens' losses become one.
    pub aggregation: Aggregation,
    /// What a reward's distance from its group's mean is divided by.
    pub scale: Scale,
    /// What is done with a group all of whose rollouts have the same reward: it teaches nothing.
    pub zero_variance: ZeroVariance,
    /// What is done with a completion that was cut off at `max_tokens`.
    pub overlong: Overlong,
    /// What a completion is worth.
    pub reward: RewardSettings,
}

/// What the policy is held to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// A copy of the weights at the beginning of the stage.
    #[default]
    Frozen,
    /// The weights without their adapters, which needs no copy.
    LoraOff,
    /// A copy that is renewed every so many steps.
    Sync(usize),
}

/// What is done with groups that teach nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroVariance {
    /// They stay: their advantage is 0, and they are held to the reference.
    #[default]
    Keep,
    /// They are left out of the loss.
    Drop,
    /// They are left out, and other prompts are drawn in their place, at most so many times the
    /// step's micro-batches (dynamic sampling, arXiv:2503.14476).
    Resample(usize),
}

/// What is done with a completion that was cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlong {
    /// It is scored like any other.
    #[default]
    Score,
    /// It is scored for its group's mean, but not learnt from.
    Mask,
}

impl Default for Grpo {
    fn default() -> Self {
        Self {
            group: 6,
            max_tokens: 768,
            temperature: 1.0,
            top_p: 0.95,
            top_k: 0,
            updates: 1,
            clip_low: 0.2,
            clip_high: 0.2,
            beta: 0.04,
            kl: Kl::default(),
            reference: Reference::default(),
            aggregation: Aggregation::default(),
            scale: Scale::default(),
            zero_variance: ZeroVariance::default(),
            overlong: Overlong::default(),
            reward: RewardSettings::default(),
        }
    }
}

impl Grpo {
    /// What the loss needs to know.
    pub fn policy(&self) -> PolicySettings {
        PolicySettings {
            clip_low: self.clip_low,
            clip_high: self.clip_high,
            beta: self.beta,
            kl: self.kl,
            aggregation: self.aggregation,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let no = |key, value: String, remedy| Err(refused(&format!("grpo.{key}"), &value, remedy));
        if self.group < 2 {
            return no(
                "group",
                self.group.to_string(),
                "write two or more: an advantage is relative to the group",
            );
        }
        for (key, value) in [("max_tokens", self.max_tokens), ("updates", self.updates)] {
            if value == 0 {
                return no(key, "0".into(), "write 1 or more");
            }
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return no(
                "temperature",
                self.temperature.to_string(),
                "write a number above 0: greedy rollouts of one prompt are all the same",
            );
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return no(
                "top_p",
                self.top_p.to_string(),
                "write a number above 0, at most 1",
            );
        }
        if self.top_k == 1 {
            return no("top_k", "1".into(), "write 0 for all tokens, or 2 or more");
        }
        for (key, value) in [("clip_low", self.clip_low), ("clip_high", self.clip_high)] {
            if !(value.is_finite() && value > 0.0) {
                return no(
                    key,
                    value.to_string(),
                    "write a number above 0, such as 0.2",
                );
            }
        }
        if self.clip_low >= 1.0 {
            return no(
                "clip_low",
                self.clip_low.to_string(),
                "write a number below 1",
            );
        }
        if !(self.beta.is_finite() && self.beta >= 0.0) {
            return no(
                "beta",
                self.beta.to_string(),
                "write a finite number, 0 or more",
            );
        }
        if self.reference == Reference::Sync(0) {
            return no(
                "reference",
                "sync every 0 steps".into(),
                "write { sync = 100 } or another number of steps",
            );
        }
        if self.zero_variance == ZeroVariance::Resample(0) {
            return no(
                "zero_variance",
                "resample 0 times".into(),
                "write { resample = 2 } or more, or \"drop\"",
            );
        }
        Ok(())
    }
}
