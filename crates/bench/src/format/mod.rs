//! A benchmark's folder: `benchmark.toml`, `samples.jsonl`, `videos/`, perhaps a taxonomy of its own.

mod faults;
mod manifest;
mod problem;
mod samples;
mod videos;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use safety::{Sample, Taxonomy};

pub use manifest::{Counts, Manifest};
pub use problem::{Problem, Report};

use crate::aside::replace;
use crate::error::{At, Error, Result};

/// The version of the format that this crate reads and writes.
pub const VERSION: u32 = 1;

/// A benchmark: its good samples, and what is wrong with the others.
#[derive(Clone, Debug)]
pub struct Benchmark {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The harms that its samples name.
    pub taxonomy: Taxonomy,
    /// The good samples, in the order of the file.
    pub samples: Vec<Sample>,
    /// The lines that are no good sample, and whatever else is wrong.
    pub problems: Vec<Problem>,
    /// Of `samples.jsonl`, lower-case hexadecimal.
    pub samples_sha256: String,
    /// The line of each good sample, from 1.
    places: Vec<usize>,
}

impl Benchmark {
    /// Opens a benchmark for use: good samples are kept, bad lines become problems. Videos must be
    /// there; their content is checked when they are decoded.
    ///
    /// # Errors
    /// If the folder, its manifest or its taxonomy cannot be used at all.
    pub fn open(folder: &Path) -> Result<Self> {
        let (manifest, taxonomy) = manifest::open(folder)?;
        let mut read = samples::read(folder, &taxonomy)?;
        read.problems
            .extend(manifest.disagreements(&read.samples, read.lines, &read.sha256));
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
            taxonomy,
            samples: read.samples,
            problems: read.problems,
            samples_sha256: read.sha256,
            places: read.places,
        })
    }

    /// The file of a sample's video.
    pub fn video(&self, sample: &Sample) -> Option<PathBuf> {
        sample
            .video
            .as_ref()
            .map(|video| self.folder.join(&video.path))
    }
}

/// Looks at everything in a benchmark folder, the content of each video included, and names every
/// problem.
///
/// # Errors
/// If the folder, its manifest or its taxonomy cannot be used at all.
pub fn check(folder: &Path) -> Result<Report> {
    let benchmark = Benchmark::open(folder)?;
    let changed = videos::changed(&benchmark);
    let samples = benchmark.samples.len() - changed.len();
    let videos = videos::count(&benchmark);
    let mut problems = benchmark.problems;
    problems.extend(changed);
    // As a reader goes through the folder: what has no line is about the whole file.
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(Report {
        samples,
        videos,
        problems,
    })
}

/// Writes a benchmark whose videos are already under `folder`: `samples.jsonl`, then
/// `benchmark.toml` with its counts and hash, each aside first and then renamed.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path, manifest: &Manifest, samples: &[Sample]) -> Result<()> {
    std::fs::create_dir_all(folder).at("create", folder)?;
    let mut lines = Vec::new();
    for sample in samples {
        serde_json::to_writer(&mut lines, sample).map_err(|error| Error::Invalid {
            path: folder.join(samples::FILE),
            reason: format!("sample {} cannot be written: {error}", sample.id),
        })?;
        lines.push(b'\n');
    }
    replace(&folder.join(samples::FILE), &lines)?;
    let manifest = Manifest {
        format: VERSION,
        counts: Counts::of(samples),
        samples_sha256: video::hash::bytes(&lines),
        ..manifest.clone()
    };
    let path = folder.join(manifest::FILE);
    let text = toml::to_string(&manifest).map_err(|error| Error::Invalid {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    replace(&path, text.as_bytes())
}

/// Opens a regular file: a pipe would wait for ever.
fn regular(path: &Path) -> Result<File> {
    let metadata = std::fs::metadata(path).at("open", path)?;
    if !metadata.is_file() {
        return Err(Error::Invalid {
            path: path.to_owned(),
            reason: "is not a regular file".to_owned(),
        });
    }
    File::open(path).at("open", path)
}

/// The text of a small file: a manifest or a taxonomy of gigabytes is none.
fn small_text(path: &Path) -> Result<String> {
    const LIMIT: u64 = 4 << 20;
    let mut text = String::new();
    regular(path)?
        .take(LIMIT + 1)
        .read_to_string(&mut text)
        .at("read", path)?;
    if text.len() as u64 > LIMIT {
        return Err(Error::Invalid {
            path: path.to_owned(),
            reason: format!("is longer than {LIMIT} bytes"),
        });
    }
    Ok(text)
}
