//! `benchmark.toml`: what a benchmark says of itself.

use std::fmt;
use std::path::Path;

use safety::{Sample, Subset, Taxonomy};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::small_text;
use crate::error::{Error, Result};

pub(super) const FILE: &str = "benchmark.toml";

/// Samples of each subset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Harmful video, harmful query.
    #[serde(rename = "HH")]
    pub hh: usize,
    /// Safe video, harmful query.
    #[serde(rename = "SH")]
    pub sh: usize,
    /// Safe query.
    #[serde(rename = "SafeQ")]
    pub safe_q: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hh, sh, safe_q } = self;
        write!(f, "HH {hh}, SH {sh}, SafeQ {safe_q}")
    }
}

impl Counts {
    /// Counts samples.
    pub fn of(samples: &[Sample]) -> Self {
        let count = |subset| {
            samples
                .iter()
                .filter(|sample| sample.subset == subset)
                .count()
        };
        Self {
            hh: count(Subset::HH),
            sh: count(Subset::SH),
            safe_q: count(Subset::SafeQ),
        }
    }
}

/// `benchmark.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the folder's format.
    pub format: u32,
    /// Of the benchmark.
    pub name: String,
    /// Of its content.
    pub version: String,
    /// In a sentence or two.
    #[serde(default)]
    pub description: String,
    /// As an SPDX expression where there is one.
    #[serde(default)]
    pub licence: String,
    /// File name of a taxonomy in the folder; the built-in one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxonomy: Option<String>,
    /// Of `samples.jsonl`, lower-case hexadecimal.
    pub samples_sha256: String,
    /// Samples of each subset.
    pub counts: Counts,
}

/// Reads the manifest and its taxonomy.
pub(super) fn open(folder: &Path) -> Result<(Manifest, Taxonomy)> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Err(Error::Invalid {
            path: folder.to_owned(),
            reason: format!("is no benchmark: it holds no {FILE}"),
        });
    }
    let text = small_text(&path)?;
    let invalid = |reason: String| Error::Invalid {
        path: path.clone(),
        reason,
    };
    let manifest: Manifest = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    if manifest.format != super::VERSION {
        let (found, ours) = (manifest.format, super::VERSION);
        return Err(invalid(format!(
            "format {found} is not known, only {ours}: use a newer alarum"
        )));
    }
    let taxonomy = match &manifest.taxonomy {
        None => Taxonomy::builtin(),
        Some(name) => {
            if Path::new(name).file_name() != Some(name.as_ref()) {
                return Err(invalid(format!(
                    "taxonomy {name:?} is not a file name in this folder"
                )));
            }
            let path = folder.join(name);
            let text = small_text(&path)?;
            Taxonomy::from_toml(&text).map_err(|error| Error::Invalid {
                path: path.clone(),
                reason: error.to_string(),
            })?
        }
    };
    Ok((manifest, taxonomy))
}

impl Manifest {
    /// Where the manifest does not agree with `samples.jsonl`. Counts are only compared when every
    /// line was good: a bad line is a problem of its own.
    pub(super) fn disagreements(
        &self,
        samples: &[Sample],
        lines: usize,
        sha256: &str,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.samples_sha256 != sha256 {
            problems.push(Problem::in_file(
                FILE,
                format!(
                    "samples_sha256 is {}, samples.jsonl has {sha256}",
                    self.samples_sha256
                ),
                "take the original samples.jsonl, or write the new hash if the change is yours",
            ));
        }
        let found = Counts::of(samples);
        if lines == samples.len() && self.counts != found {
            problems.push(Problem::in_file(
                FILE,
                format!("counts are {}, samples.jsonl has {found}", self.counts),
                "write the new counts",
            ));
        }
        problems
    }
}
