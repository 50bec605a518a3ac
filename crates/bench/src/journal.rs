//! `journal.jsonl`: one durable line for each sample × condition × epoch, appended and never changed.

mod repair;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use chat::{AlarmScores, Finish};
use safety::{Language, Outcome, Subset};
use serde::{Deserialize, Serialize};

pub use repair::{Repaired, repair};

use crate::Condition;
use crate::aside::sync_folder;
use crate::error::{At, Error, Result};
use crate::lines::{self, Line};

/// Bytes of the longest record: the marks of every frame of a long video, and a long answer.
pub const LONGEST: usize = 64 << 20;

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
    /// The sample's part of the benchmark; with the next three, so that a journal can be counted by
    /// itself.
    pub subset: Subset,
    /// Id of its category.
    pub category: String,
    /// Id of its subcategory.
    pub subcategory: String,
    /// The query's language.
    pub language: Language,
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
    /// What the model's alarm heads said of the question, where it has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmScores>,
    /// What was shown; empty without video.
    pub frames: Vec<FrameMark>,
    /// Of the sampling of this answer.
    pub seed: u64,
    /// Of everything that was asked: system prompt, text, frames, generation. Nothing if the model was
    /// not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_sha256: Option<String>,
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
    /// Bytes of whole records.
    length: u64,
}

impl Journal {
    /// Opens the journal at `path`, or begins it, and gives the records that it holds. A last line
    /// that was cut off by a crash is removed, and its sample asked again.
    ///
    /// # Errors
    /// Names the line that is not a record: the journal is left as it is. [`repair()`] sets such lines
    /// aside.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>)> {
        let is_new = !path.exists();
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .at("open", path)?;
        if is_new {
            sync_folder(path)?;
        }
        let (records, length) = read(&file, path)?;
        if file.metadata().at("read", path)?.len() > length {
            file.set_len(length).at("repair", path)?;
            file.sync_all().at("repair", path)?;
        }
        file.seek(SeekFrom::End(0)).at("read", path)?;
        let path = path.to_owned();
        Ok((Self { file, path, length }, records))
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
    /// If it cannot be written, for instance on a full disk: what was written before stays, and what
    /// was written of this one is taken back.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record).expect("a record is plain data");
        line.push(b'\n');
        if line.len() > LONGEST {
            return Err(Error::Invalid {
                path: self.path.clone(),
                reason: format!(
                    "the record of {} has {} bytes, at most {LONGEST} can be read back: sample fewer frames or limit the answer",
                    record.sample,
                    line.len()
                ),
            });
        }
        let written = self
            .file
            .write_all(&line)
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // If this fails as well, the next opening cuts the torn line.
            let _cut = self.file.set_len(self.length);
            return Err(source).at("write", &self.path);
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

/// One whole line of a journal.
enum Entry {
    Record(Box<Record>),
    /// What is wrong with it.
    Bad(String),
}

/// The whole lines of a journal, one by one.
struct Entries<'a> {
    reader: BufReader<&'a File>,
    /// Lines of the records so far.
    seen: HashMap<Key, usize>,
    /// Of the last line, from 1.
    number: usize,
}

impl<'a> Entries<'a> {
    fn new(file: &'a File) -> Self {
        Self {
            reader: BufReader::new(file),
            seen: HashMap::new(),
            number: 0,
        }
    }

    /// The next line and its bytes without the break; nothing at the end or at a cut-off line.
    fn next(&mut self) -> std::io::Result<Option<(Entry, Vec<u8>)>> {
        self.number += 1;
        let bytes = match lines::next(&mut self.reader, LONGEST)? {
            None | Some(Line::Torn(_)) => return Ok(None),
            Some(Line::TooLong) => {
                return Ok(Some((
                    Entry::Bad("is too long to be a record".to_owned()),
                    Vec::new(),
                )));
            }
            Some(Line::Whole(bytes)) => bytes,
        };
        let entry = match serde_json::from_slice::<Record>(&bytes) {
            Err(error) => Entry::Bad(format!("is not a record ({error})")),
            Ok(record) => match self.seen.get(&record.key()) {
                Some(first) => Entry::Bad(format!("repeats the record of line {first}")),
                None => {
                    self.seen.insert(record.key(), self.number);
                    Entry::Record(Box::new(record))
                }
            },
        };
        Ok(Some((entry, bytes)))
    }
}

/// The records of a file, and how many of its bytes they take.
fn read(file: &File, path: &Path) -> Result<(Vec<Record>, u64)> {
    let mut entries = Entries::new(file);
    let (mut records, mut length) = (Vec::new(), 0);
    while let Some((entry, bytes)) = entries.next().at("read", path)? {
        match entry {
            Entry::Record(record) => records.push(*record),
            Entry::Bad(reason) => {
                return Err(Error::Invalid {
                    path: path.to_owned(),
                    reason: format!(
                        "line {} {reason}: `alarum repair RUN` sets that line aside; its sample is then asked again",
                        entries.number
                    ),
                });
            }
        }
        length += bytes.len() as u64 + 1;
    }
    Ok((records, length))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(sample: &str) -> Record {
        Record {
            sample: sample.to_owned(),
            condition: Condition::WithVideo,
            epoch: 0,
            subset: Subset::HH,
            category: "violence".to_owned(),
            subcategory: "weapons".to_owned(),
            language: Language::En,
            outcome: Outcome::Answer,
            finish: Some(Finish::Stop),
            answer: Some("A blue ring.".to_owned()),
            error: None,
            prompt_tokens: 3,
            completion_tokens: 4,
            alarm: None,
            frames: vec![FrameMark {
                seconds: 0.5,
                sha256: "00".repeat(32),
            }],
            seed: 7,
            request_sha256: None,
        }
    }

    #[test]
    fn a_disk_that_refuses_is_named_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        Journal::open(&path)
            .unwrap()
            .0
            .append(&record("a"))
            .unwrap();
        let mut journal = Journal {
            file: File::open(&path).unwrap(),
            path: path.clone(),
            length: 0,
        };
        let error = journal.append(&record("b")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write {}", path.display())
        );
        assert_eq!(Journal::read(&path).unwrap(), [record("a")]);
    }

    #[test]
    fn a_record_that_could_not_be_read_back_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let long = Record {
            answer: Some("x".repeat(LONGEST)),
            ..record("long")
        };
        let error = journal.append(&long).unwrap_err().to_string();
        assert!(error.contains("the record of long has"), "{error}");
        journal.append(&record("next")).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), [record("next")]);
    }

    #[test]
    fn a_record_without_alarm_scores_is_read_and_written_as_it_was() {
        let line = serde_json::to_string(&record("a")).unwrap();
        assert!(!line.contains("alarm"), "{line}");
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record("a"));
    }

    #[test]
    fn alarm_scores_are_written_so() {
        let alarm = AlarmScores {
            visual: None,
            textual: 0.1,
        };
        let scored = Record {
            alarm: Some(alarm),
            ..record("a")
        };
        let line = serde_json::to_string(&scored).unwrap();
        assert!(line.contains(r#","alarm":{"textual":0.1},"#), "{line}");
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), scored);
    }

    #[test]
    fn a_record_that_comes_twice_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        for sample in ["a", "b", "a"] {
            journal.append(&record(sample)).unwrap();
        }
        let error = Journal::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("line 3 repeats the record of line 1"),
            "{error}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(answer in "\\PC*", sample in ".+", thousandths in 0..100_000_000u32) {
            let mut record = record(&sample);
            record.answer = Some(answer);
            record.frames[0].seconds = f64::from(thousandths) / 1000.0;
            let line = serde_json::to_vec(&record).unwrap();
            assert!(!line.contains(&b'\n'));
            assert_eq!(serde_json::from_slice::<Record>(&line).unwrap(), record);
        }
    }
}
