//! `events.jsonl`: what happened in a run, one JSON object a line, only ever appended to.
//!
//! Everything but `seconds` is the same in every run of the same recipe on the same data.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::At;

/// The file's name in the run's folder.
pub const EVENTS: &str = "events.jsonl";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The first line.
    RunStart(RunStart),
    /// An optimizer step was taken.
    Step(Step),
    /// A checkpoint is complete.
    Checkpoint {
        /// Optimizer steps before it.
        step: usize,
    },
    /// The run did all that it was asked to do.
    End {
        /// Optimizer steps taken.
        step: usize,
    },
}

/// What the run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunStart {
    /// Of this format.
    pub version: u32,
    /// The resolved recipe, defaults written out.
    pub recipe: serde_json::Value,
    /// Of the data order, also in the recipe.
    pub seed: u64,
    /// Of the program and of what its numbers depend on.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 over ids, lengths, target counts and labels of the samples.
    pub data: String,
    /// Samples to learn from.
    pub samples: usize,
    /// Trainable numbers.
    pub parameters: usize,
    /// Optimizer steps to take.
    pub steps: usize,
}

/// What one optimizer step did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Counted from 1.
    pub step: usize,
    /// Pass over the data, counted from 0.
    pub epoch: usize,
    /// Before this step's change of the weights.
    pub loss: f32,
    /// What the loss is made of, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, f32>,
    /// Before clipping.
    pub grad_norm: f64,
    /// Of each group.
    pub learning_rates: BTreeMap<String, f64>,
    /// Samples of this step.
    pub samples: usize,
    /// Tokens read, without padding.
    pub tokens: usize,
    /// Tokens that the loss is about.
    pub targets: usize,
    /// How long it took; differs from run to run.
    pub seconds: f64,
}

impl Event {
    /// Optimizer steps at this place of the run.
    fn step(&self) -> usize {
        match self {
            Self::RunStart(_) => 0,
            Self::Step(step) => step.step,
            Self::Checkpoint { step } | Self::End { step } => *step,
        }
    }
}

/// The open file of a run in progress.
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// An empty one, whatever was there before.
    pub fn create(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(EVENTS);
        let file = File::create(&path).at("create", &path)?;
        Ok(Self { file, path })
    }

    /// The one that is there, cut after the line of optimizer step `step`: the rest will happen again.
    pub fn resume(folder: &Path, step: usize) -> Result<Self, Error> {
        let path = folder.join(EVENTS);
        let text = std::fs::read(&path).at("read", &path)?;
        let mut kept = 0;
        let mut reached = None;
        // A line without its newline was torn by an interruption.
        for line in text
            .split_inclusive(|&byte| byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
        {
            let Ok(event) = serde_json::from_slice::<Event>(line) else {
                break;
            };
            let later = event.step() > step;
            let after =
                event.step() == step && !matches!(event, Event::Step(_) | Event::RunStart(_));
            if later || after {
                break;
            }
            kept += line.len();
            reached = Some(event.step());
        }
        if reached != Some(step) {
            return Err(Error::BadFile {
                path,
                problem: format!(
                    "has no line for step {step}, which the checkpoint has taken: restore the file or use another folder"
                ),
            });
        }
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .at("open", &path)?;
        file.set_len(kept as u64).at("cut", &path)?;
        Ok(Self { file, path })
    }

    /// Appends a line in one write.
    pub fn write(&mut self, event: &Event) -> Result<(), Error> {
        let mut line = serde_json::to_vec(event).expect("events are plain data with text keys");
        line.push(b'\n');
        self.file.write_all(&line).at("append to", &self.path)
    }

    /// Waits until all lines are on the disk.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().at("sync", &self.path)
    }
}

/// All whole lines of a run's file.
pub fn read(folder: &Path) -> Result<Vec<Event>, Error> {
    let path = folder.join(EVENTS);
    let text = std::fs::read_to_string(&path).at("read", &path)?;
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .enumerate()
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|error| Error::BadFile {
                path: path.clone(),
                problem: format!("line {}: {error}", i + 1),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize) -> Event {
        Event::Step(Step {
            step,
            epoch: 0,
            loss: 1.5,
            parts: BTreeMap::new(),
            grad_norm: 0.25,
            learning_rates: BTreeMap::from([("default".to_owned(), 1e-3)]),
            samples: 8,
            tokens: 100,
            targets: 10,
            seconds: 0.5,
        })
    }

    /// A file of two steps with a checkpoint after each.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path()).unwrap();
        for n in [1, 2] {
            journal.write(&step(n)).unwrap();
            journal.write(&Event::Checkpoint { step: n }).unwrap();
        }
        folder
    }

    #[track_caller]
    fn check(folder: &Path, resume_at: usize, want: &[Event]) {
        Journal::resume(folder, resume_at).unwrap();
        assert_eq!(read(folder).unwrap(), want);
    }

    #[test]
    fn the_wire_format_is_this() {
        let line = serde_json::to_string(&step(1)).unwrap();
        let want = r#"{"event":"step","step":1,"epoch":0,"loss":1.5,"grad_norm":0.25,"learning_rates":{"default":0.001},"samples":8,"tokens":100,"targets":10,"seconds":0.5}"#;
        assert_eq!(line, want);
    }

    #[test]
    fn resuming_forgets_later_steps_and_the_checkpoint_line_itself() {
        check(folder().path(), 1, &[step(1)]);
    }

    #[test]
    fn a_torn_last_line_is_forgotten() {
        let folder = folder();
        let path = folder.path().join(EVENTS);
        let mut text = std::fs::read(&path).unwrap();
        text.truncate(text.len() - 4);
        std::fs::write(&path, text).unwrap();
        check(
            folder.path(),
            2,
            &[step(1), Event::Checkpoint { step: 1 }, step(2)],
        );
    }

    #[test]
    fn what_follows_a_resumption_is_appended() {
        let folder = folder();
        let mut journal = Journal::resume(folder.path(), 1).unwrap();
        journal.write(&Event::End { step: 1 }).unwrap();
        assert_eq!(
            read(folder.path()).unwrap(),
            [step(1), Event::End { step: 1 }]
        );
    }

    #[test]
    fn a_file_without_the_checkpoints_step_is_refused() {
        let error = Journal::resume(folder().path(), 3)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("no line for step 3"), "{error}");
    }
}
