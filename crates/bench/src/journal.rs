//! `journal.jsonl`: one durable line for each sample × condition × epoch, appended and never changed.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use chat::Finish;
use safety::Outcome;
use serde::{Deserialize, Serialize};

use crate::Condition;
use crate::error::{At, Error, Result};
use crate::lines::{self, Line};

/// What one line is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The sample's id.
    pub sample: String,
    /// How its media was shown.
    pub condition: Condition,
    /// From 0.
    pub epoch: u32,
}

/// One frame that the model was shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameMark {
    /// From the start of the video.
    pub seconds: f64,
    /// Of its raw RGB bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// One call of the model, or why there was none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The sample's id.
    pub sample: String,
    /// How its media was shown.
    pub condition: Condition,
    /// From 0.
    pub epoch: u32,
    /// How the call ended.
    pub outcome: Outcome,
    /// Why the model stopped, where it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tokens read, media included.
    pub prompt_tokens: usize,
    /// Tokens written.
    pub completion_tokens: usize,
    /// What was shown; empty without video.
    pub frames: Vec<FrameMark>,
    /// Of the sampling of this answer.
    pub seed: u64,
}

impl Record {
    /// What it is about.
    pub fn key(&self) -> Key {
        Key {
            sample: self.sample.clone(),
            condition: self.condition,
            epoch: self.epoch,
        }
    }
}

/// The open journal of a run.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal at `path`, or begins it, and gives the records that it holds. A last line
    /// that was cut off by a crash is removed, and its sample asked again.
    ///
    /// # Errors
    /// Names the line that is not a record: the journal is left as it is.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>)> {
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .at("open", path)?;
        let (records, length) = read(&file, path)?;
        if file.metadata().at("read", path)?.len() > length {
            file.set_len(length).at("repair", path)?;
            file.sync_all().at("repair", path)?;
        }
        file.seek(SeekFrom::End(0)).at("read", path)?;
        Ok((
            Self {
                file,
                path: path.to_owned(),
            },
            records,
        ))
    }

    /// The records of a journal that is only read; a cut-off last line is passed over.
    ///
    /// # Errors
    /// Names the line that is not a record.
    pub fn read(path: &Path) -> Result<Vec<Record>> {
        let file = File::open(path).at("open", path)?;
        Ok(read(&file, path)?.0)
    }

    /// Adds a record; it is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written, for instance on a full disk: what was written before stays.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record).map_err(|error| Error::Invalid {
            path: self.path.clone(),
            reason: format!("the record of {} cannot be written: {error}", record.sample),
        })?;
        line.push(b'\n');
        self.file.write_all(&line).at("write", &self.path)?;
        self.file.sync_data().at("write", &self.path)
    }
}

/// The records of a file, and how many of its bytes they take.
fn read(file: &File, path: &Path) -> Result<(Vec<Record>, u64)> {
    let mut reader = BufReader::new(file);
    let mut records = Vec::new();
    let mut length = 0;
    for number in 1.. {
        let bad = |reason: String| Error::Invalid {
            path: path.to_owned(),
            reason: format!(
                "line {number} {reason}: repair or remove that line; the others are intact"
            ),
        };
        match lines::next(&mut reader).at("read", path)? {
            None | Some(Line::Torn(_)) => break,
            Some(Line::TooLong) => return Err(bad("is too long to be a record".to_owned())),
            Some(Line::Whole(bytes)) => {
                let record: Record = serde_json::from_slice(&bytes)
                    .map_err(|error| bad(format!("is not a record ({error})")))?;
                length += bytes.len() as u64 + 1;
                records.push(record);
            }
        }
    }
    Ok((records, length))
}
