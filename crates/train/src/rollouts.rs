//! `rollouts.jsonl`: every completion that a stage drew, with what it was worth, one JSON object a
//! line, only ever appended to.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::At;

/// The file's name in the run's folder.
pub const ROLLOUTS: &str = "rollouts.jsonl";

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended it.
    Stop,
    /// It was cut off.
    Length,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Optimizer step that it was drawn for, counted from 1.
    pub step: usize,
    /// Id of the record that was asked.
    pub prompt: String,
    /// Its place in its group, which is also the stream of the seed that it was drawn from.
    pub index: usize,
    /// Of its group's draws.
    pub seed: u64,
    /// What the model wrote, special tokens left out.
    pub text: String,
    /// How many tokens that is, the end of the turn included.
    pub tokens: usize,
    /// Why it ended.
    pub finish: Finish,
    /// Each part of the reward, not weighted.
    pub rewards: BTreeMap<String, f32>,
    /// Weight of the ROUGE part, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f32>,
    /// All parts together.
    pub reward: f32,
    /// Against its group.
    pub advantage: f32,
}

/// The open file of a run in progress.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// The file of a run that has taken `steps` steps: what later ones wrote is cut off.
    pub fn resume(folder: &Path, steps: usize) -> Result<Self, Error> {
        let path = folder.join(ROLLOUTS);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .at("open", &path)?;
        let mut kept = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).at("read", &path)?;
            // A line without its newline was torn by an interruption.
            let whole = line.ends_with(b"\n");
            match serde_json::from_slice::<Rollout>(&line) {
                Ok(rollout) if whole && rollout.step <= steps => kept += read as u64,
                _ => break,
            }
        }
        file.set_len(kept).at("cut", &path)?;
        Ok(Self { file, path })
    }

    /// Appends rollouts in one write.
    pub fn write(&mut self, rollouts: &[Rollout]) -> Result<(), Error> {
        let mut lines = Vec::new();
        for rollout in rollouts {
            serde_json::to_writer(&mut lines, rollout).expect("rollouts are plain data");
            lines.push(b'\n');
        }
        self.file.write_all(&lines).at("append to", &self.path)
    }

    /// Waits until all lines are on the disk.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().at("sync", &self.path)
    }
}

/// All whole lines of a run's file in their order; none if the run drew nothing.
pub fn read(folder: &Path) -> Result<Vec<Rollout>, Error> {
    let path = folder.join(ROLLOUTS);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at("read", &path),
    };
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

    fn rollout(step: usize, index: usize) -> Rollout {
        Rollout {
            step,
            prompt: "a".into(),
            index,
            seed: 7,
            text: "<think>".into(),
            tokens: 3,
            finish: Finish::Stop,
            rewards: BTreeMap::from([("format".into(), 1.0)]),
            alpha: Some(0.5),
            reward: 1.0,
            advantage: -0.5,
        }
    }

    fn three() -> (tempfile::TempDir, Vec<Rollout>) {
        let folder = tempfile::tempdir().unwrap();
        let all = vec![rollout(1, 0), rollout(1, 1), rollout(2, 0)];
        Log::resume(folder.path(), 0).unwrap().write(&all).unwrap();
        (folder, all)
    }

    #[test]
    fn the_wire_format_is_this() {
        let line = serde_json::to_string(&rollout(1, 0)).unwrap();
        assert_eq!(
            line,
            r#"{"step":1,"prompt":"a","index":0,"seed":7,"text":"<think>","tokens":3,"finish":"stop","rewards":{"format":1.0},"alpha":0.5,"reward":1.0,"advantage":-0.5}"#
        );
    }

    #[test]
    fn what_was_written_is_read() {
        let (folder, all) = three();
        assert_eq!(read(folder.path()).unwrap(), all);
    }

    #[test]
    fn resuming_forgets_later_steps() {
        let (folder, all) = three();
        Log::resume(folder.path(), 1).unwrap();
        assert_eq!(read(folder.path()).unwrap(), all[..2]);
    }

    #[test]
    fn resuming_forgets_a_torn_line() {
        let (folder, all) = three();
        let path = folder.path().join(ROLLOUTS);
        let mut text = std::fs::read(&path).unwrap();
        text.truncate(text.len() - 2);
        std::fs::write(&path, text).unwrap();
        Log::resume(folder.path(), 2)
            .unwrap()
            .write(&[rollout(2, 5)])
            .unwrap();
        assert_eq!(
            read(folder.path()).unwrap(),
            [all[0].clone(), all[1].clone(), rollout(2, 5)]
        );
    }

    #[test]
    fn a_run_without_rollouts_has_none() {
        assert_eq!(read(tempfile::tempdir().unwrap().path()).unwrap(), []);
    }
}
