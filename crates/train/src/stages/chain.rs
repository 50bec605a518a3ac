//! All stages of a recipe, each in a folder of its own, each from what the one before it left behind.
//! What is finished is kept; what was interrupted goes on.
//!
//! ```text
//! OUT/recipe.toml          as it was resolved
//! OUT/start/               the starting checkpoint with alarm tokens, if it had none
//! OUT/1-NAME/              a run: events.jsonl, checkpoint-N/, rollouts.jsonl, tensorboard/
//! OUT/1-NAME/model/        what the stage made: a checkpoint folder to use or to go on from
//! OUT/cache/               vision features and probes, shared by all stages
//! ```

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use model::Tokenizer;
use model::tokenizer::{TEXTUAL_ALARM, VISUAL_ALARM};

use crate::checkpoint::{self, State};
use crate::error::At;
use crate::recipe::{Recipe, Stage};
use crate::reward::Reward;
use crate::reward::settings::Endpoint;
use crate::run::{Ended, Progress};
use crate::stages::job::{Job, rewards, run_stage};
use crate::stages::records::records;
use crate::{BoxError, Error};

/// The folder of the starting checkpoint that was given alarm tokens.
const START: &str = "start";
/// The folder of what a stage made.
pub const MODEL: &str = "model";
/// The resolved recipe's file.
pub const RECIPE: &str = "recipe.toml";

/// Gives the rewards that a recipe's endpoints compute.
pub type Endpoints<'a> = dyn Fn(&Endpoint) -> Result<Box<dyn Reward>, BoxError> + Sync + 'a;

/// A recipe, where it runs, and what it needs from outside.
pub struct Chain<'a> {
    /// What to do.
    pub recipe: &'a Recipe,
    /// Where.
    pub folder: &'a Path,
    /// Micro-batches at a time; see [`crate::run::Run::workers`].
    pub workers: NonZeroUsize,
    /// Calls reward endpoints.
    pub endpoints: &'a Endpoints<'a>,
    /// See [`crate::run::Run::versions`].
    pub versions: BTreeMap<String, String>,
}

/// What a chain is doing.
pub enum Told<'a> {
    /// A stage begins, or goes on.
    Stage {
        /// Its place in the recipe, from 0.
        index: usize,
        /// What it is.
        stage: &'a Stage,
    },
    /// A stage was finished before.
    Kept {
        /// Its place in the recipe, from 0.
        index: usize,
        /// What it is.
        stage: &'a Stage,
    },
    /// The stage's data was read.
    Read {
        /// Records to learn from.
        records: usize,
        /// Of these, without a label of the video although there is one.
        without_visual: usize,
        /// Of these, without a label of the query.
        without_textual: usize,
    },
    /// So many of so many videos are ready.
    Ready(usize, usize),
    /// An optimizer step was taken.
    Step(&'a Progress<'a>),
}

/// Hears what a chain is doing, and may break it off after a step.
pub type Listener<'a> = dyn FnMut(Told<'_>) -> ControlFlow<()> + Send + 'a;

impl Chain<'_> {
    /// The folder of a stage.
    pub fn stage_folder(&self, index: usize) -> PathBuf {
        stage_folder(self.folder, self.recipe, index)
    }

    /// Runs all stages, or those that `only` names and the ones that they start from. Gives the folder of
    /// the last one's model, or nothing if it was broken off.
    pub fn run(
        &self,
        only: Option<&str>,
        listener: &mut Listener<'_>,
    ) -> Result<Option<PathBuf>, Error> {
        let wanted = self.wanted(only)?;
        let config = crate::plan::config(self.recipe)?;
        for &index in &wanted {
            // Before anything is spent on any of them.
            let stage = self.recipe.stages[index].resolved();
            crate::plan::refuse_idle(&config, &stage)?;
            if let Some(grpo) = &stage.grpo {
                rewards(grpo, self.endpoints)?;
            }
            records(&stage, self.recipe.seed)?;
        }
        self.refuse_other()?;
        std::fs::create_dir_all(self.folder).at("create", self.folder)?;
        self.write_recipe()?;
        let start = self.start()?;
        let mut last = start.clone();
        for index in wanted {
            let source = match self.recipe.parent(index) {
                Some(parent) => self.stage_folder(parent).join(MODEL),
                None => start.clone(),
            };
            let stage = &self.recipe.stages[index];
            let folder = self.stage_folder(index);
            let model = folder.join(MODEL);
            if is_finished(&folder) {
                let _ = listener(Told::Kept { index, stage });
            } else {
                let _ = listener(Told::Stage { index, stage });
                let job = Job {
                    source: &source,
                    stage,
                    seed: self.recipe.seed,
                    folder: &folder,
                    cache: &self.folder.join("cache"),
                    workers: self.workers,
                    endpoints: self.endpoints,
                    versions: self.versions.clone(),
                };
                if let Ended::Stopped { .. } = run_stage(&job, listener)? {
                    return Ok(None);
                }
            }
            last = model;
        }
        Ok(Some(last))
    }

    /// The stages to run, in order: a stage needs those that it starts from.
    fn wanted(&self, only: Option<&str>) -> Result<Vec<usize>, Error> {
        let stages = &self.recipe.stages;
        let Some(name) = only else {
            return Ok((0..stages.len()).collect());
        };
        let place = stages.iter().position(|stage| stage.name == name);
        let place = place.or_else(|| stages.iter().position(|stage| stage.kind.name() == name));
        let Some(place) = place else {
            let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
            return Err(Error::NoStage {
                name: name.to_owned(),
                names: names.join(", "),
            });
        };
        let mut path = vec![place];
        while let Some(parent) = self.recipe.parent(path[path.len() - 1]) {
            path.push(parent);
        }
        path.reverse();
        Ok(path)
    }

    /// Refuses to keep what another recipe made: the finished stages must be those of this one.
    fn refuse_other(&self) -> Result<(), Error> {
        let path = self.folder.join(RECIPE);
        let finished: Vec<usize> = (0..self.recipe.stages.len())
            .filter(|&index| is_finished(&self.stage_folder(index)))
            .collect();
        if finished.is_empty() || !path.exists() {
            return Ok(());
        }
        let text = std::fs::read_to_string(&path).at("read", &path)?;
        let then = Recipe::from_toml(&text).map_err(|error| Error::InFile {
            path: path.clone(),
            source: Box::new(error),
        })?;
        let said = |recipe: &Recipe| {
            let stage = |&index: &usize| {
                let stage = recipe.stages.get(index)?;
                let parent = recipe.parent(index).map(|parent| &recipe.stages[parent]);
                let value = serde_json::json!({
                    "from": parent.map(|parent| &parent.name),
                    "stage": stage.resolved(),
                });
                Some((self.recipe.stages[index].name.clone(), value))
            };
            let stages: serde_json::Map<_, _> = finished.iter().filter_map(stage).collect();
            let said = serde_json::json!({
                "model": recipe.model,
                "seed": recipe.seed,
                "finished": stages,
            });
            State::new(said, String::new())
        };
        checkpoint::refuse_other(&path, &said(&then), &said(self.recipe))
    }

    /// The checkpoint that the first stage starts from.
    fn start(&self) -> Result<PathBuf, Error> {
        let source = &self.recipe.model;
        if !self.recipe.uses_alarm() || has_alarm_tokens(source)? {
            return Ok(source.clone());
        }
        let start = self.folder.join(START);
        if !start.exists() {
            model::alarm::register(source, &start)?;
        }
        Ok(start)
    }

    /// So that a folder tells what made it; written once more when it is taken up again.
    fn write_recipe(&self) -> Result<(), Error> {
        let mut resolved = self.recipe.clone();
        for stage in &mut resolved.stages {
            *stage = stage.resolved();
        }
        let text = toml::to_string(&resolved).map_err(|error| Error::BadFile {
            path: self.folder.join(RECIPE),
            problem: error.to_string(),
        })?;
        let path = self.folder.join(RECIPE);
        let aside = path.with_extension("toml.tmp");
        std::fs::write(&aside, text).at("write", &aside)?;
        std::fs::rename(&aside, &path).at("rename to", &path)
    }
}

/// Whether its tokenizer has them as tokens.
fn has_alarm_tokens(checkpoint: &Path) -> Result<bool, Error> {
    let tokenizer = Tokenizer::open(checkpoint)?;
    Ok([VISUAL_ALARM, TEXTUAL_ALARM]
        .iter()
        .all(|token| tokenizer.id(token).is_some()))
}

/// The folder of a stage of a recipe that runs in `folder`.
pub fn stage_folder(folder: &Path, recipe: &Recipe, index: usize) -> PathBuf {
    folder.join(format!("{}-{}", index + 1, recipe.stages[index].name))
}

/// Whether a stage's model is there: it is renamed into place as the last thing.
pub fn is_finished(folder: &Path) -> bool {
    folder.join(MODEL).is_dir()
}
