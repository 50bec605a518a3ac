//! The content of a benchmark's videos against what its samples say.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Benchmark;
use super::problem::Problem;
use super::samples::FILE;

/// Distinct video files of the good samples.
pub(super) fn count(benchmark: &Benchmark) -> usize {
    by_path(benchmark).len()
}

/// Each sample whose video is not what the sample says; every file is read once.
pub(super) fn changed(benchmark: &Benchmark) -> Vec<Problem> {
    by_path(benchmark)
        .into_par_iter()
        .flat_map_iter(|(path, samples)| {
            let found = video::hash::file(&benchmark.folder.join(path));
            let problem = move |index: usize| {
                let sample = &benchmark.samples[index];
                let said = sample.video.as_ref().map_or("", |video| &video.sha256);
                let (what, remedy) = match &found {
                    Ok(found) if found == said => return None,
                    Ok(found) => (
                        format!("video {path:?} has the sha256 {found}, the sample says {said}"),
                        "take the original video, or write the new hash if the change is yours",
                    ),
                    Err(error) => (crate::frames::said(error), "make the file readable"),
                };
                Some(Problem {
                    file: FILE.to_owned(),
                    line: Some(benchmark.places[index]),
                    id: Some(sample.id.clone()),
                    what,
                    remedy: remedy.to_owned(),
                })
            };
            samples.into_iter().filter_map(problem)
        })
        .collect()
}

/// Indices of the samples that show each file.
fn by_path(benchmark: &Benchmark) -> BTreeMap<&str, Vec<usize>> {
    let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, sample) in benchmark.samples.iter().enumerate() {
        if let Some(video) = &sample.video {
            files.entry(video.path.as_str()).or_default().push(index);
        }
    }
    files
}
