//! What a training run wrote down: one stage, or each stage of a chain.

use std::path::{Path, PathBuf};

use anyhow::Result;
use train::events::{self, EVENTS, Event, RunStart, Step};

use crate::progress::UserError;
use crate::report::numbers::grouped;

/// One run.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Its folder's name.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) start: RunStart,
    pub(crate) steps: Vec<Step>,
    /// Whether it did all that it was asked to do.
    pub(crate) is_finished: bool,
}

impl Stage {
    pub(crate) fn seconds(&self) -> f64 {
        self.steps.iter().fold(0.0, |sum, step| sum + step.seconds)
    }

    pub(crate) fn tokens(&self) -> usize {
        self.steps.iter().map(|step| step.tokens).sum()
    }

    pub(crate) fn samples(&self) -> usize {
        self.steps.iter().map(|step| step.samples).sum()
    }

    /// `700`, or `320 of 700`
    pub(crate) fn progress(&self) -> String {
        let (done, planned) = (self.steps.len() as u64, self.start.steps as u64);
        if done == planned {
            grouped(done)
        } else {
            format!("{} of {}", grouped(done), grouped(planned))
        }
    }

    /// Whether it is complete; a run that goes on cannot be told from one that was interrupted.
    pub(crate) fn state(&self) -> &'static str {
        if self.is_finished {
            "finished"
        } else {
            "running or interrupted"
        }
    }
}

/// Whether a folder holds a training run, or a chain of them.
pub(crate) fn is_training(folder: &Path) -> bool {
    folder.join(EVENTS).is_file() || !chained(folder).is_empty()
}

/// The stages of a run's or a chain's folder, those of a chain by their numbers. A stage that has not
/// written its first line is left out.
///
/// # Errors
/// If nothing was written yet, or a line in the middle is not an event.
pub(crate) fn stages(folder: &Path) -> Result<Vec<Stage>> {
    let folders = if folder.join(EVENTS).is_file() {
        vec![folder.to_owned()]
    } else {
        chained(folder)
    };
    let mut stages = Vec::new();
    for folder in folders {
        stages.extend(stage(folder)?);
    }
    if stages.is_empty() {
        let reason = "has not written its first line yet: wait for its first step";
        return Err(UserError(format!("the training run in {} {reason}", folder.display())).into());
    }
    Ok(stages)
}

fn stage(folder: PathBuf) -> Result<Option<Stage>> {
    let mut events = events::read(&folder)?.into_iter();
    let Some(first) = events.next() else {
        return Ok(None);
    };
    let Event::RunStart(start) = first else {
        let path = folder.join(EVENTS);
        let reason = "does not begin with `run_start`: restore the file";
        return Err(UserError(format!("{} {reason}", path.display())).into());
    };
    let (mut steps, mut is_finished) = (Vec::new(), false);
    for event in events {
        match event {
            Event::Step(step) => steps.push(step),
            Event::End { .. } => is_finished = true,
            Event::RunStart(_) | Event::Checkpoint { .. } => {}
        }
    }
    let name = std::path::absolute(&folder)
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "run".to_owned());
    Ok(Some(Stage {
        name,
        folder,
        start,
        steps,
        is_finished,
    }))
}

/// Sub-folders `1-name`, `2-name`, … that hold runs, by their numbers.
fn chained(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let number = name.split_once('-')?.0.parse().ok()?;
            path.join(EVENTS).is_file().then_some((number, path))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::training::world;

    fn names(folder: &Path) -> Vec<String> {
        let stages = stages(folder).unwrap();
        stages.into_iter().map(|stage| stage.name).collect()
    }

    #[test]
    fn stages_come_by_number_not_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["10-grpo", "2-atc", "1-sft"] {
            world::supervised(&folder.path().join(name), 3);
        }
        std::fs::create_dir(folder.path().join("3-empty")).unwrap();
        assert_eq!(names(folder.path()), ["1-sft", "2-atc", "10-grpo"]);
    }

    #[test]
    fn a_torn_last_line_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        world::supervised(folder.path(), 9);
        let path = folder.path().join(EVENTS);
        let mut text = std::fs::read(&path).unwrap();
        text.truncate(text.len() - 30);
        std::fs::write(&path, text).unwrap();
        let stage = stages(folder.path()).unwrap().remove(0);
        assert_eq!((stage.steps.len(), stage.is_finished), (8, false));
    }

    #[test]
    fn a_run_that_wrote_nothing_yet_says_so() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(EVENTS), "{\"event\":\"run_st").unwrap();
        let error = stages(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("has not written its first line yet"),
            "{error}"
        );
    }

    #[test]
    fn a_stage_that_has_not_begun_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        world::supervised(&folder.path().join("1-sft"), 3);
        let next = folder.path().join("2-atc");
        std::fs::create_dir(&next).unwrap();
        std::fs::write(next.join(EVENTS), "").unwrap();
        assert_eq!(names(folder.path()), ["1-sft"]);
    }
}
