//! `run.toml`: everything that the answers of a run depend on.

use std::collections::BTreeSet;

use chat::Generation;
use serde::{Deserialize, Serialize};
use video::Sampling;

use crate::Condition;

/// Everything that an answer depends on, resolved; written as `run.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Version of the run's format.
    pub format: u32,
    /// Version of the program.
    pub alarum: String,
    /// What the model is called.
    pub model: String,
    /// Tells its weights from others, where that is known.
    pub model_sha256: Option<String>,
    /// Name and version of the benchmark.
    pub benchmark: String,
    /// Of its `samples.jsonl`.
    pub samples_sha256: String,
    /// How media is shown.
    pub conditions: Vec<Condition>,
    /// How often everything is asked.
    pub epochs: u32,
    /// System prompt of every question.
    pub system: Option<String>,
    /// Which frames are shown.
    pub sampling: Sampling,
    /// How answers are decoded; its seed is the run's.
    pub generation: Generation,
}

/// The version of the run folder that this crate reads and writes.
pub const VERSION: u32 = 1;

impl Settings {
    /// Each key that is different in `wanted`, with both values; empty if all are the same.
    pub fn differences(&self, wanted: &Self) -> String {
        // Through JSON, which holds every number: TOML ends at 63 bits.
        let keys = |settings: &Self| match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(keys)) => keys,
            _ => unreachable!("settings are a struct of plain data"),
        };
        let (found, wanted) = (keys(self), keys(wanted));
        let names: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
        names
            .into_iter()
            .filter(|name| found[*name] != wanted[*name])
            .map(|name| format!("{name}: {} there, {} now", found[name], wanted[name]))
            .collect::<Vec<_>>()
            .join("; ")
    }
}
