//! The meaning of 0 and 1: this file is its one owner.

use serde::{Deserialize, Serialize};

/// Whether a video or a text is harmful. On the wire `0` safe, `1` harmful, as in the official data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum SafetyLabel {
    /// 0
    Safe,
    /// 1
    Harmful,
}

/// A number that is neither 0 nor 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("safety label {0} is neither 0 (safe) nor 1 (harmful)")]
pub struct BadLabel(pub u8);

impl TryFrom<u8> for SafetyLabel {
    type Error = BadLabel;

    fn try_from(value: u8) -> Result<Self, BadLabel> {
        match value {
            0 => Ok(Self::Safe),
            1 => Ok(Self::Harmful),
            other => Err(BadLabel(other)),
        }
    }
}

impl From<SafetyLabel> for u8 {
    fn from(label: SafetyLabel) -> u8 {
        match label {
            SafetyLabel::Safe => 0,
            SafetyLabel::Harmful => 1,
        }
    }
}
