//! One sample of a benchmark: a query, perhaps with a video, and what is known about both.

use serde::{Deserialize, Serialize};

use crate::{Language, SafetyLabel};

/// The three parts of VideoSafetyEval (arXiv 2505.16643, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subset {
    /// Harmful video, harmful query.
    HH,
    /// Safe video, harmful query.
    SH,
    /// Safe query: a refusal here is an over-refusal.
    SafeQ,
}

impl Subset {
    /// All three, in the order of every table.
    pub const ALL: [Self; 3] = [Self::HH, Self::SH, Self::SafeQ];

    /// The name on the wire and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::HH => "HH",
            Self::SH => "SH",
            Self::SafeQ => "SafeQ",
        }
    }

    /// Whether the query asks for something harmful, so that the safe answer is not to help.
    pub fn query_is_harmful(self) -> bool {
        !matches!(self, Self::SafeQ)
    }
}

/// A video file of a benchmark, as `samples.jsonl` writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoRef {
    /// Relative to the benchmark's folder, never above it.
    pub path: String,
    /// Of the file's bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Length in seconds.
    pub seconds: f64,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its licence, as an SPDX expression where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

/// Labels by people or by construction; never guessed from text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Of the video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visual: Option<SafetyLabel>,
    /// Of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub textual: Option<SafetyLabel>,
}

/// One line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Unique in the benchmark.
    pub id: String,
    /// Which part of the benchmark.
    pub subset: Subset,
    /// Id of a category of the benchmark's taxonomy.
    pub category: String,
    /// Id of a subcategory of that category.
    pub subcategory: String,
    /// The query's language.
    pub language: Language,
    /// What the user asks.
    pub query: String,
    /// What the user shows; absent in a text-only sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoRef>,
    /// What is known of both.
    #[serde(default)]
    pub labels: Labels,
    /// A good answer, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How the sample was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
}
