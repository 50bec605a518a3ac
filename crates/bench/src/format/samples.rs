//! `samples.jsonl`: one sample a line, each checked by itself and against its benchmark.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

use safety::{Sample, Taxonomy};
use sha2::{Digest, Sha256};

use super::faults::{Fault, faults};
use super::problem::Problem;
use crate::error::{At, Result};
use crate::lines::{self, Line};

pub(super) const FILE: &str = "samples.jsonl";

/// What the file holds.
pub(super) struct SamplesFile {
    pub samples: Vec<Sample>,
    /// The line of each sample, from 1.
    pub places: Vec<usize>,
    pub problems: Vec<Problem>,
    /// Lines that are not empty.
    pub lines: usize,
    pub sha256: String,
}

/// Reads every line once.
pub(super) fn read(folder: &Path, taxonomy: &Taxonomy) -> Result<SamplesFile> {
    let path = folder.join(FILE);
    let file = super::regular(&path)?;
    let mut reader = BufReader::new(Hashed {
        file,
        hash: Sha256::new(),
    });
    let mut out = SamplesFile {
        samples: Vec::new(),
        places: Vec::new(),
        problems: Vec::new(),
        lines: 0,
        sha256: String::new(),
    };
    let mut seen: HashMap<String, usize> = HashMap::new();
    for number in 1.. {
        let bytes = match lines::next(&mut reader, lines::LIMIT).at("read", &path)? {
            None => break,
            Some(Line::Whole(bytes) | Line::Torn(bytes)) if bytes.trim_ascii().is_empty() => {
                continue;
            }
            Some(Line::Whole(bytes) | Line::Torn(bytes)) => Some(bytes),
            Some(Line::TooLong) => None,
        };
        out.lines += 1;
        let (id, faults) = match &bytes {
            None => (
                None,
                vec![(
                    format!("is longer than {} bytes", lines::LIMIT),
                    "shorten it or remove it",
                )],
            ),
            Some(bytes) => match parse(bytes) {
                Err((id, fault)) => (id, vec![fault]),
                Ok(sample) => {
                    let mut faults = faults(&sample, folder, taxonomy);
                    if let Some(first) = seen.insert(sample.id.clone(), number) {
                        faults.push((
                            format!("has the id of line {first}"),
                            "give it an id of its own",
                        ));
                    }
                    let id = sample.id.clone();
                    if faults.is_empty() {
                        out.samples.push(sample);
                        out.places.push(number);
                    }
                    (Some(id), faults)
                }
            },
        };
        out.problems
            .extend(faults.into_iter().map(|(what, remedy)| Problem {
                file: FILE.to_owned(),
                line: Some(number),
                id: id.clone(),
                what,
                remedy: remedy.to_owned(),
            }));
    }
    out.sha256 = reader
        .into_inner()
        .hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(out)
}

/// Hashes what passes through.
struct Hashed {
    file: std::fs::File,
    hash: Sha256,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// One line as a sample; otherwise its id, if that much can be read, and why not.
fn parse(bytes: &[u8]) -> std::result::Result<Sample, (Option<String>, Fault)> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        (
            None,
            (format!("is not UTF-8: {error}"), "write the file as UTF-8"),
        )
    })?;
    if !text.trim_start().starts_with('{') {
        // An array would be read as the fields in their order.
        let fault = ("is not a JSON object".to_owned(), "write one JSON object");
        return Err((None, fault));
    }
    serde_json::from_str(text).map_err(|error| {
        let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
        let id = value
            .as_ref()
            .and_then(|value| value.get("id")?.as_str().map(str::to_owned));
        let remedy = if value.is_some() {
            "compare it with a good line"
        } else {
            "write one JSON object"
        };
        // The column is of the line, its line number always 1.
        (
            id,
            (
                error.to_string().replace(" at line 1 column", " at column"),
                remedy,
            ),
        )
    })
}
