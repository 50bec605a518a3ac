//! `samples.jsonl`: one sample a line, each checked by itself and against its benchmark.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use safety::{SafetyLabel, Sample, Subset, Taxonomy};
use sha2::{Digest, Sha256};

use super::Benchmark;
use super::problem::Problem;
use crate::error::{At, Result};
use crate::lines::{self, Line};

pub(super) const FILE: &str = "samples.jsonl";

/// Characters of a query; longer ones are refused.
const QUERY_LIMIT: usize = 100_000;

/// What the file holds.
pub(super) struct SamplesFile {
    pub samples: Vec<Sample>,
    pub problems: Vec<Problem>,
    /// Lines that are not empty.
    pub lines: usize,
    pub sha256: String,
}

/// A thing that is wrong, and what to do.
type Fault = (String, &'static str);

/// Reads every line once.
pub(super) fn read(folder: &Path, taxonomy: &Taxonomy) -> Result<SamplesFile> {
    let path = folder.join(FILE);
    let file = std::fs::File::open(&path).at("open", &path)?;
    let mut reader = BufReader::new(Hashed {
        file,
        hash: Sha256::new(),
    });
    let mut out = SamplesFile {
        samples: Vec::new(),
        problems: Vec::new(),
        lines: 0,
        sha256: String::new(),
    };
    let mut seen: HashMap<String, usize> = HashMap::new();
    for number in 1.. {
        let bytes = match lines::next(&mut reader).at("read", &path)? {
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

fn faults(sample: &Sample, folder: &Path, taxonomy: &Taxonomy) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    if sample.id.trim().is_empty() {
        faults.push(("has an empty id".to_owned(), "give it an id of its own"));
    }
    if sample.query.trim().is_empty() {
        faults.push(("has an empty query".to_owned(), "write what the user asks"));
    }
    if sample.query.chars().count() > QUERY_LIMIT {
        faults.push((
            format!("has a query of more than {QUERY_LIMIT} characters"),
            "shorten it",
        ));
    }
    if taxonomy.category(&sample.category).is_none() {
        faults.push((
            format!(
                "category {:?} is not in the taxonomy {:?}",
                sample.category,
                taxonomy.name()
            ),
            "use an id of the taxonomy, or bring a taxonomy of your own",
        ));
    } else if taxonomy
        .subcategory(&sample.category, &sample.subcategory)
        .is_none()
    {
        faults.push((
            format!(
                "subcategory {:?} is not one of {:?}",
                sample.subcategory, sample.category
            ),
            "use an id of that category",
        ));
    }
    faults.extend(label_faults(sample));
    match &sample.video {
        None if sample.subset != Subset::SafeQ => faults.push((
            format!("is in {} and has no video", sample.subset.name()),
            "name its video, or move it to SafeQ if the query is safe",
        )),
        None => {}
        Some(video) => {
            if let Err(fault) = inside(folder, &video.path) {
                faults.push(fault);
            }
            if !(video.seconds.is_finite() && video.seconds > 0.0) {
                faults.push((
                    format!("has a video of {} seconds", video.seconds),
                    "write its length",
                ));
            }
        }
    }
    faults
}

fn label_faults(sample: &Sample) -> Vec<Fault> {
    let (visual, textual) = match sample.subset {
        Subset::HH => (Some(SafetyLabel::Harmful), SafetyLabel::Harmful),
        Subset::SH => (Some(SafetyLabel::Safe), SafetyLabel::Harmful),
        Subset::SafeQ => (None, SafetyLabel::Safe),
    };
    let mut faults = Vec::new();
    let mut compare = |name: &str, label: Option<SafetyLabel>, expected: Option<SafetyLabel>| {
        if let (Some(label), Some(expected)) = (label, expected)
            && label != expected
        {
            let (found, wanted) = (u8::from(label), u8::from(expected));
            let subset = sample.subset.name();
            faults.push((
                format!("is in {subset} with the {name} label {found}, which there is {wanted}"),
                "correct the label or the subset (0 safe, 1 harmful)",
            ));
        }
    };
    compare("visual", sample.labels.visual, visual);
    compare("textual", sample.labels.textual, Some(textual));
    faults
}

/// The file of a path that must stay inside the folder, also through links.
fn inside(folder: &Path, path: &str) -> std::result::Result<PathBuf, Fault> {
    let relative = Path::new(path);
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let leaves = || {
        (
            format!("video {path:?} leaves the benchmark's folder"),
            "use a path below the folder",
        )
    };
    if path.is_empty() || !plain {
        return Err(leaves());
    }
    let missing = |error: std::io::Error| {
        (
            format!("video {path:?} cannot be opened: {error}"),
            "put the file there, or remove the sample",
        )
    };
    let file = folder.join(relative).canonicalize().map_err(missing)?;
    let root = folder.canonicalize().map_err(missing)?;
    if !file.starts_with(&root) {
        return Err(leaves());
    }
    if !file.is_file() {
        return Err((
            format!("video {path:?} is not a file"),
            "put the file there, or remove the sample",
        ));
    }
    Ok(file)
}

/// Each video file once, with the fingerprint that its first sample gives and that sample's id.
pub(super) fn videos(samples: &[Sample]) -> BTreeMap<&str, (&str, &str)> {
    let mut videos = BTreeMap::new();
    for sample in samples {
        if let Some(video) = &sample.video {
            videos
                .entry(video.path.as_str())
                .or_insert((video.sha256.as_str(), sample.id.as_str()));
        }
    }
    videos
}

/// Videos whose content is not what the benchmark says.
pub(super) fn changed_videos(benchmark: &Benchmark) -> Vec<Problem> {
    use rayon::prelude::*;
    let problem = |(path, (sha256, id)): (&str, (&str, &str))| {
        let (what, remedy) = match video::hash::file(&benchmark.folder.join(path)) {
            Ok(found) if found == sha256 => return None,
            Ok(found) => (
                format!("the sha256 of {path} is {found}, its samples say {sha256}"),
                "take the original video, or write the new hash if the change is yours",
            ),
            Err(error) => (error.to_string(), "make the file readable"),
        };
        let (file, remedy) = (FILE.to_owned(), remedy.to_owned());
        Some(Problem {
            file,
            line: None,
            id: Some(id.to_owned()),
            what,
            remedy,
        })
    };
    videos(&benchmark.samples)
        .into_par_iter()
        .filter_map(problem)
        .collect()
}
