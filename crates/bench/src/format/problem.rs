//! What is wrong with a benchmark, each with its place and a remedy.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// File in the benchmark's folder.
    pub file: String,
    /// From 1.
    pub line: Option<usize>,
    /// The sample's id, where it could be read.
    pub id: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    pub(super) fn in_file(file: &str, what: String, remedy: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            id: None,
            what,
            remedy: remedy.to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(id) = &self.id {
            write!(f, " [{id}]")?;
        }
        write!(f, ": {}\n    {}", self.what, self.remedy)
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Good samples.
    pub samples: usize,
    /// Distinct video files of those.
    pub videos: usize,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
}

impl Report {
    /// One line.
    pub fn summary(&self) -> String {
        let Self {
            samples,
            videos,
            problems,
        } = self;
        match problems.len() {
            0 => format!("{samples} good samples, {videos} videos, no problem"),
            1 => format!("{samples} good samples, {videos} videos, 1 problem"),
            count => format!("{samples} good samples, {videos} videos, {count} problems"),
        }
    }
}
