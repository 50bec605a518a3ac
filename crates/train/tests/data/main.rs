//! Data files: the official formats both ways, mixtures, checks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod check;
mod convert;
mod mix;
mod round_trip;

use std::path::{Path, PathBuf};

use safety::Labels;
use train::data::Record;

pub(crate) const TAGGED: &str = "<think>It burns.</think>\n<answer>Leave.</answer>\n<vidType>1</vidType>\n<textType>0</textType>";

pub(crate) fn labels(visual: u8, textual: u8) -> Labels {
    Labels {
        visual: Some(visual.try_into().unwrap()),
        textual: Some(textual.try_into().unwrap()),
    }
}

pub(crate) fn record(id: &str) -> Record {
    Record {
        id: id.into(),
        query: "What moves?".into(),
        answer: "A square.".into(),
        ..Record::default()
    }
}

/// Records as a JSONL file; their media relative to its folder.
pub(crate) fn write(path: &Path, records: &[Record]) -> PathBuf {
    let lines = records
        .iter()
        .map(|record| serde_json::to_string(record).unwrap() + "\n");
    std::fs::write(path, lines.collect::<String>()).unwrap();
    path.to_owned()
}
