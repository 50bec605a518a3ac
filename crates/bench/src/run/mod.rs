//! A run's folder: `run.toml`, `samples.jsonl`, `journal.jsonl`, `judgements.jsonl`, `results.json`,
//! `report.html`, `frames/`. Everything that a report needs is in it, the benchmark is not needed again.

mod lock;
mod settings;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use safety::{Sample, Taxonomy};
use serde::{Deserialize, Serialize};

pub use settings::{Settings, VERSION};

use crate::aside::replace;
use crate::error::{At, Error, Result};
use crate::format::Problem;
use crate::judge::Judgement;
use crate::{Benchmark, Results};

/// An open run.
#[derive(Debug)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// What its answers depend on.
    pub settings: Settings,
    /// Held while this process works on the run.
    lock: Option<lock::Lock>,
}

impl Run {
    /// Begins a run over `benchmark`, or resumes the one in `folder` if its settings are the same.
    ///
    /// Samples that were left out when the run began, for instance because their videos were missing,
    /// are taken in when they are good now; samples that were good then stay.
    ///
    /// # Errors
    /// If the folder holds a run with other settings or a journal without settings, or another process
    /// works on it.
    pub fn begin(folder: &Path, settings: Settings, benchmark: &Benchmark) -> Result<Self> {
        std::fs::create_dir_all(folder).at("create", folder)?;
        let run = Self {
            folder: folder.to_owned(),
            settings,
            lock: Some(lock::take(folder)?),
        };
        let path = run.settings_path();
        let mut samples = benchmark.samples.clone();
        if path.is_file() {
            let found = Self::open(folder)?;
            let differences = found.settings.differences(&run.settings);
            if !differences.is_empty() {
                return Err(Error::OtherSettings {
                    run: folder.to_owned(),
                    differences,
                });
            }
            let known: HashSet<&str> = benchmark.samples.iter().map(|s| s.id.as_str()).collect();
            let before = found.samples()?.into_iter();
            samples.extend(before.filter(|sample| !known.contains(sample.id.as_str())));
        } else if run.journal_path().is_file() {
            // Nobody knows what its answers depend on.
            return Err(Error::Invalid {
                path: folder.to_owned(),
                reason: "holds a journal and no run.toml: give another folder".to_owned(),
            });
        }
        run.write_inputs(&samples, benchmark)?;
        let text = toml::to_string(&run.settings).map_err(|error| Error::Invalid {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        update(&path, text.as_bytes())?;
        Ok(run)
    }

    /// Writes what a report needs of the benchmark.
    fn write_inputs(&self, samples: &[Sample], benchmark: &Benchmark) -> Result<()> {
        let mut lines = Vec::new();
        for sample in samples {
            lines.extend(json(sample, &self.samples_path())?);
            lines.push(b'\n');
        }
        update(&self.samples_path(), &lines)?;
        let problems = json(&benchmark.problems, &self.problems_path())?;
        update(&self.problems_path(), &problems)?;
        let taxonomy = json(&names(&benchmark.taxonomy), &self.taxonomy_path())?;
        update(&self.taxonomy_path(), &taxonomy)
    }

    /// Opens a run to change it without asking a model: judging it again, repairing it.
    ///
    /// # Errors
    /// If the folder holds no run that this version reads, or another process works on it.
    pub fn take(folder: &Path) -> Result<Self> {
        let run = Self::open(folder)?;
        Ok(Self {
            lock: Some(lock::take(folder)?),
            ..run
        })
    }

    /// Opens a run to read it.
    ///
    /// # Errors
    /// If the folder holds no run that this version reads.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("run.toml");
        let text = std::fs::read_to_string(&path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                let reason = "is no run: it holds no run.toml".to_owned();
                Error::Invalid {
                    path: folder.to_owned(),
                    reason,
                }
            } else {
                Error::File {
                    action: "read",
                    path: path.clone(),
                    source,
                }
            }
        })?;
        let settings: Settings = toml::from_str(&text).map_err(|error| Error::Invalid {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        if settings.format != VERSION {
            let reason = format!("format {} is not known, only {VERSION}", settings.format);
            return Err(Error::Invalid { path, reason });
        }
        Ok(Self {
            folder: folder.to_owned(),
            settings,
            lock: None,
        })
    }

    /// Whether this process may write to the run.
    pub fn is_ours(&self) -> bool {
        self.lock.is_some()
    }

    /// The samples that the run asks.
    ///
    /// # Errors
    /// Names the line that is not a sample.
    pub fn samples(&self) -> Result<Vec<Sample>> {
        parsed_lines(&self.samples_path())
    }

    /// What was wrong with the benchmark when the run began.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn problems(&self) -> Result<Vec<Problem>> {
        parsed(&self.problems_path())
    }

    /// Names of categories and subcategories by their ids, in the taxonomy's order.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn taxonomy(&self) -> Result<Vec<CategoryNames>> {
        parsed(&self.taxonomy_path())
    }

    /// The scores, if the run was scored.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn results(&self) -> Result<Results> {
        parsed(&self.results_path())
    }

    /// What the judge said, if the run was judged.
    ///
    /// # Errors
    /// If the file cannot be read, or names the line that is no judgement.
    pub fn judgements(&self) -> Result<Vec<Judgement>> {
        parsed_lines(&self.judgements_path())
    }

    /// Writes the scores.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_results(&self, results: &Results) -> Result<()> {
        let path = self.results_path();
        let mut text = serde_json::to_vec_pretty(results).map_err(|error| Error::Invalid {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        text.push(b'\n');
        replace(&path, &text)
    }

    /// The append-only record of answers.
    pub fn journal_path(&self) -> PathBuf {
        self.folder.join("journal.jsonl")
    }

    /// What a judge said of the answers.
    pub fn judgements_path(&self) -> PathBuf {
        self.folder.join("judgements.jsonl")
    }

    /// The scores.
    pub fn results_path(&self) -> PathBuf {
        self.folder.join("results.json")
    }

    /// The report.
    pub fn report_path(&self) -> PathBuf {
        self.folder.join("report.html")
    }

    /// Small pictures of the frames shown; see [`crate::thumbnails`].
    pub fn frames_path(&self) -> PathBuf {
        self.folder.join("frames")
    }

    fn settings_path(&self) -> PathBuf {
        self.folder.join("run.toml")
    }

    fn samples_path(&self) -> PathBuf {
        self.folder.join("samples.jsonl")
    }

    fn problems_path(&self) -> PathBuf {
        self.folder.join("problems.json")
    }

    fn taxonomy_path(&self) -> PathBuf {
        self.folder.join("taxonomy.json")
    }
}

/// A category's names, for tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryNames {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Id and name of each subcategory.
    pub subcategories: Vec<(String, String)>,
}

fn names(taxonomy: &Taxonomy) -> Vec<CategoryNames> {
    taxonomy
        .categories()
        .iter()
        .map(|category| CategoryNames {
            id: category.id.clone(),
            name: category.name.clone(),
            subcategories: category
                .subcategories
                .iter()
                .map(|sub| (sub.id.clone(), sub.name.clone()))
                .collect(),
        })
        .collect()
}

/// Writes a file unless it holds just that: a run that goes on changes nothing.
fn update(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    replace(path, bytes)
}

fn json(value: &impl Serialize, path: &Path) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Invalid {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn parsed<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).at("read", path)?;
    serde_json::from_str(&text).map_err(|error| Error::Invalid {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn parsed_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).at("read", path)?;
    let parse = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Error::Invalid {
            path: path.to_owned(),
            reason: format!("line {}: {error}", index + 1),
        })
    };
    text.lines().enumerate().map(parse).collect()
}
