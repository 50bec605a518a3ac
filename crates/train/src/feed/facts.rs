//! What the headers of files say, asked once and kept on disk.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use model::processor::size::Size;
use serde::{Deserialize, Serialize};
use video::{Decoder, hash};

use crate::Error;
use crate::error::At;

/// Written into each line: lines of another layout are not looked at.
const VERSION: u32 = 1;
/// A longer line is none of ours.
const LINE_BYTES: u64 = 1 << 16;

/// What a file's header says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    /// Pixels a row, upright.
    pub(super) width: u64,
    /// Rows, upright.
    pub(super) height: u64,
    /// Length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<f64>,
    /// Frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) frames: Option<u64>,
    /// Frames a second on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fps: Option<f64>,
}

impl Facts {
    pub(super) fn size(&self) -> Size {
        let (height, width) = (self.height, self.width);
        Size { height, width }
    }

    /// Frames, as said or as they follow from rate and length.
    pub(super) fn total(&self) -> Option<usize> {
        let said = self.frames.filter(|frames| *frames > 0);
        let told = || Some((self.seconds? * self.fps?).round() as u64).filter(|total| *total > 0);
        said.or_else(told)
            .and_then(|total| usize::try_from(total).ok())
    }
}

/// A file as the system sees it without opening it: another state is another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    bytes: u64,
    /// When it was written, in nanoseconds since 1970.
    modified: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: u32,
    path: PathBuf,
    state: State,
    facts: Facts,
    /// Of the file's bytes; known once it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// All that is known of files, the newest line of each.
#[derive(Debug)]
pub(super) struct Known {
    entries: Mutex<HashMap<PathBuf, Entry>>,
    journal: Option<Mutex<File>>,
}

impl Known {
    /// What `folder/probes.jsonl` says; nothing is kept on disk without a folder.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, Error> {
        let Some(folder) = folder else {
            return Ok(Self {
                entries: Mutex::default(),
                journal: None,
            });
        };
        let path = folder.join("probes.jsonl");
        let mut journal = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .at("open", &path)?;
        let (entries, torn) = entries(&journal).at("read", &path)?;
        if torn {
            // Whoever wrote the last line was killed: the next one begins on its own line.
            journal.write_all(b"\n").at("write", &path)?;
        }
        Ok(Self {
            entries: Mutex::new(entries),
            journal: Some(Mutex::new(journal)),
        })
    }

    /// What the file's header says; asked of `decoder` if the file is new or has changed.
    pub(super) fn facts(&self, path: &Path, decoder: &Decoder) -> Result<Facts, video::Error> {
        let state = state(path);
        let absolute = absolute(path);
        if let Some(entry) = state.and_then(|state| self.entry(&absolute, state)) {
            return Ok(entry.facts);
        }
        let probe = decoder.probe(path)?;
        let (width, height) = probe.upright();
        let facts = Facts {
            width,
            height,
            seconds: probe.duration.map(|duration| duration.0),
            frames: probe.frames,
            fps: probe.average_fps,
        };
        if let Some(state) = state {
            self.learn(absolute, state, facts, None);
        }
        Ok(facts)
    }

    /// Of the file's bytes.
    pub(super) fn sha256(&self, path: &Path) -> Result<String, video::Error> {
        let state = state(path);
        let absolute = absolute(path);
        let entry = state.and_then(|state| self.entry(&absolute, state));
        if let Some(sha256) = entry.as_ref().and_then(|entry| entry.sha256.clone()) {
            return Ok(sha256);
        }
        let sha256 = hash::file(path)?;
        if let Some((state, entry)) = state.zip(entry) {
            self.learn(absolute, state, entry.facts, Some(sha256.clone()));
        }
        Ok(sha256)
    }

    fn entry(&self, path: &Path, state: State) -> Option<Entry> {
        let entries = locked(&self.entries);
        let entry = entries.get(path)?;
        (entry.state == state).then(|| entry.clone())
    }

    fn learn(&self, path: PathBuf, state: State, facts: Facts, sha256: Option<String>) {
        let entry = Entry {
            version: VERSION,
            path: path.clone(),
            state,
            facts,
            sha256,
        };
        // A name that is not text is asked again the next time.
        if let (Some(journal), Ok(mut line)) = (&self.journal, serde_json::to_vec(&entry)) {
            line.push(b'\n');
            if let Err(error) = locked(journal).write_all(&line) {
                tracing::warn!(path = %path.display(), %error, "cannot keep what a file's header says");
            }
        }
        locked(&self.entries).insert(path, entry);
    }
}

/// The entries of a journal, and whether its last line has no end.
fn entries(journal: &File) -> std::io::Result<(HashMap<PathBuf, Entry>, bool)> {
    let mut entries = HashMap::new();
    let mut reader = BufReader::new(journal);
    let mut line = Vec::new();
    loop {
        let whole = line.is_empty() || line.last() == Some(&b'\n');
        line.clear();
        if reader
            .by_ref()
            .take(LINE_BYTES)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok((entries, !whole));
        }
        if whole
            && let Ok(entry) = serde_json::from_slice::<Entry>(&line)
            && entry.version == VERSION
        {
            entries.insert(entry.path.clone(), entry);
        }
    }
}

/// The name by which a file is known wherever it is asked from.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn state(path: &Path) -> Option<State> {
    let metadata = fs::metadata(path).ok()?;
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(State {
        bytes: metadata.len(),
        modified: u64::try_from(since.as_nanos()).ok()?,
    })
}

/// What the locks guard is whole between any two statements.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        width: 4,
        height: 2,
        seconds: Some(1.5),
        frames: None,
        fps: None,
    };

    /// A decoder that can read nothing: what is known comes from the journal.
    fn blind() -> Decoder {
        Decoder {
            ffprobe: "/nowhere/ffprobe".into(),
            ..Decoder::default()
        }
    }

    fn folder_with_entry() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip");
        fs::write(&path, b"bytes").unwrap();
        let known = Known::open(Some(folder.path())).unwrap();
        known.learn(path.clone(), state(&path).unwrap(), FACTS, None);
        (folder, path)
    }

    #[test]
    fn what_was_asked_once_is_known_the_next_time() {
        let (folder, path) = folder_with_entry();
        let known = Known::open(Some(folder.path())).unwrap();
        assert_eq!(known.facts(&path, &blind()).unwrap(), FACTS);
    }

    #[test]
    fn a_file_that_changed_is_asked_again() {
        let (folder, path) = folder_with_entry();
        fs::write(&path, b"more bytes").unwrap();
        let known = Known::open(Some(folder.path())).unwrap();
        assert!(known.facts(&path, &blind()).is_err());
    }

    #[test]
    fn a_hash_is_kept_beside_the_facts() {
        let (folder, path) = folder_with_entry();
        let known = Known::open(Some(folder.path())).unwrap();
        let sha256 = known.sha256(&path).unwrap();
        assert_eq!(sha256, hash::bytes(b"bytes"));
        let known = Known::open(Some(folder.path())).unwrap();
        let entry = known.entry(&path, state(&path).unwrap()).unwrap();
        assert_eq!(entry.sha256, Some(sha256));
    }

    #[test]
    fn a_line_that_a_killed_process_left_is_passed_over() {
        let (folder, path) = folder_with_entry();
        let journal = folder.path().join("probes.jsonl");
        let whole = fs::read(&journal).unwrap();
        fs::write(&journal, [&whole[..], &whole[..20]].concat()).unwrap();
        let known = Known::open(Some(folder.path())).unwrap();
        known.learn("other".into(), state(&path).unwrap(), FACTS, None);
        let known = Known::open(Some(folder.path())).unwrap();
        assert_eq!(known.entries.lock().unwrap().len(), 2);
    }
}
