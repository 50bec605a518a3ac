//! A run's folder: `run.toml`, `samples.jsonl`, `journal.jsonl`, `judgements.jsonl`, `results.json`,
//! `report.html`, `frames/`. Everything that a report needs is in it, the benchmark is not needed again.

use std::fs::File;
use std::path::{Path, PathBuf};

use chat::Generation;
use safety::{Sample, Taxonomy};
use serde::{Deserialize, Serialize};
use video::Sampling;

use crate::error::{At, Error, Result};
use crate::format::{Problem, replace};
use crate::{Benchmark, Condition, Results};

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

/// An open run.
#[derive(Debug)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// What its answers depend on.
    pub settings: Settings,
    /// Held while this process works on the run.
    lock: Option<File>,
}

impl Run {
    /// Begins a run over `benchmark`, or resumes the one in `folder` if its settings are the same.
    ///
    /// # Errors
    /// If the folder holds a run with other settings, or another process works on it.
    pub fn begin(folder: &Path, settings: Settings, benchmark: &Benchmark) -> Result<Self> {
        std::fs::create_dir_all(folder).at("create", folder)?;
        let lock = lock(folder)?;
        let run = Self {
            folder: folder.to_owned(),
            settings,
            lock: Some(lock),
        };
        let path = run.settings_path();
        if path.is_file() {
            let found = Self::open(folder)?.settings;
            let differences = differences(&found, &run.settings);
            if !differences.is_empty() {
                return Err(Error::OtherSettings {
                    run: folder.to_owned(),
                    differences,
                });
            }
            return Ok(run);
        }
        let mut lines = Vec::new();
        for sample in &benchmark.samples {
            lines.extend(json(sample, &run.samples_path())?);
            lines.push(b'\n');
        }
        replace(&run.samples_path(), &lines)?;
        replace(
            &run.problems_path(),
            &json(&benchmark.problems, &run.problems_path())?,
        )?;
        let taxonomy = json(&names(&benchmark.taxonomy), &run.taxonomy_path())?;
        replace(&run.taxonomy_path(), &taxonomy)?;
        let text = toml::to_string(&run.settings).map_err(|error| Error::Invalid {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        replace(&path, text.as_bytes())?;
        Ok(run)
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
        let path = self.samples_path();
        let text = std::fs::read_to_string(&path).at("read", &path)?;
        let parse = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| Error::Invalid {
                path: path.clone(),
                reason: format!("line {}: {error}", index + 1),
            })
        };
        text.lines().enumerate().map(parse).collect()
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

/// Takes the run's lock, which the system gives back when this process ends, however it ends.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .at("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy {
            run: folder.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(Error::File {
            action: "lock",
            path,
            source,
        }),
    }
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

/// Each key that differs, with both values.
fn differences(found: &Settings, wanted: &Settings) -> String {
    let table = |settings: &Settings| toml::Table::try_from(settings).unwrap_or_default();
    let (found, wanted) = (table(found), table(wanted));
    let keys: std::collections::BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let show = |value: Option<&toml::Value>| value.map_or("none".to_owned(), ToString::to_string);
    keys.into_iter()
        .filter(|key| found.get(*key) != wanted.get(*key))
        .map(|key| {
            format!(
                "{key}: {} there, {} now",
                show(found.get(key)),
                show(wanted.get(key))
            )
        })
        .collect::<Vec<_>>()
        .join("; ")
}
