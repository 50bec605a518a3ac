//! `alarum train`: the stages of a recipe, or one stage.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use train::recipe::{Kind, Recipe, Stage};
use train::run::Progress;
use train::stages::chain::{Chain, Told};

use crate::args::{StageKind, Train, TrainCommand, TrainRun};
use crate::commands::{doctor, plan};
use crate::progress::{Bar, UserError, say, step_in_words};
use crate::reward;

pub(crate) fn run(arguments: &Train) -> Result<()> {
    if let Some(TrainCommand::Plan(arguments)) = &arguments.command {
        return plan::run(arguments);
    }
    let arguments = &arguments.run;
    let recipe = recipe(arguments)?;
    let only = arguments.recipe.as_ref().and(arguments.stage.as_deref());
    let workers = match NonZeroUsize::new(arguments.workers) {
        Some(workers) => workers,
        None => cores(),
    };
    doctor::require_ffmpeg()?;
    let model = chain(&recipe, &arguments.out, workers, only, &Words::default())?;
    say(&format!("trained model: {}", model.display()));
    Ok(())
}

/// Reads a recipe file; its paths are relative to `at`, or to where it lies.
pub(crate) fn open(path: &Path, at: Option<&Path>) -> Result<Recipe> {
    Recipe::open(path, at).map_err(users)
}

fn recipe(arguments: &TrainRun) -> Result<Recipe> {
    if let Some(path) = &arguments.recipe {
        return open(path, arguments.place.at.as_deref());
    }
    let name = arguments.stage.as_deref().unwrap_or_default();
    let kind = StageKind::from_str(name, false).map_err(|_| {
        let known = StageKind::value_variants()
            .iter()
            .map(|kind| kind.kind().name());
        UserError(format!(
            "there is no stage `{name}` without a recipe: write one of {}",
            known.collect::<Vec<_>>().join(", ")
        ))
    })?;
    let (Some(model), Some(data)) = (&arguments.model, &arguments.data) else {
        let missing = UserError("a stage without a recipe needs --model and --data".into());
        return Err(missing.into());
    };
    one_stage(kind.kind(), model, data)
}

fn one_stage(kind: Kind, model: &Path, data: &Path) -> Result<Recipe> {
    let recipe = Recipe {
        seed: 0,
        model: model.to_owned(),
        stages: vec![Stage::of(kind, data.to_owned())],
    };
    recipe.check().map_err(users)?;
    Ok(recipe)
}

/// How a run's lines are told from another's that runs beside it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// Before each line; with one, there are no bars.
    pub prefix: Option<String>,
}

/// Runs the stages of a recipe in `out`, or one of them; gives the folder of the last model.
pub(crate) fn chain(
    recipe: &Recipe,
    out: &Path,
    workers: NonZeroUsize,
    only: Option<&str>,
    words: &Words,
) -> Result<PathBuf> {
    let chain = Chain {
        recipe,
        folder: out,
        workers,
        endpoints: &reward::endpoint,
        versions: BTreeMap::from([("alarum".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
    };
    let stages = recipe.stages.len();
    let mut teller = Teller::new(words.clone(), stages);
    let ended = chain.run(only, &mut |told| {
        teller.hear(&told);
        ControlFlow::Continue(())
    });
    let model = ended.map_err(users)?;
    teller.end();
    model.context("training was broken off: run the command again to go on")
}

/// An error that is the user's to mend ends with code 1.
pub(crate) fn users(error: train::Error) -> anyhow::Error {
    let is_users = error.is_users();
    let error = anyhow::Error::new(error);
    match is_users {
        true => UserError(format!("{error:#}")).into(),
        false => error,
    }
}

/// As many as there are.
pub(crate) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Says what a chain is doing.
struct Teller {
    words: Words,
    stages: usize,
    bar: Option<Bar>,
}

impl Teller {
    fn new(words: Words, stages: usize) -> Self {
        Self {
            words,
            stages,
            bar: None,
        }
    }

    fn hear(&mut self, told: &Told<'_>) {
        match *told {
            Told::Stage { index, stage } => {
                self.end();
                self.say(&format!(
                    "stage {} of {}: {} ({})",
                    index + 1,
                    self.stages,
                    stage.name,
                    stage.kind
                ));
            }
            Told::Kept { index, stage } => {
                self.end();
                self.say(&format!(
                    "stage {} of {}: {} is there already",
                    index + 1,
                    self.stages,
                    stage.name
                ));
            }
            Told::Read {
                records,
                without_visual,
                without_textual,
            } => {
                let mut line = format!("{records} records");
                for (count, which) in [(without_visual, "video"), (without_textual, "query")] {
                    if count > 0 {
                        line += &format!(", {count} without a label of the {which}");
                    }
                }
                self.say(&line);
            }
            Told::Ready(done, total) => {
                if self.words.prefix.is_none() {
                    let bar = self
                        .bar
                        .get_or_insert_with(|| Bar::new("videos", total as u64));
                    bar.length(total as u64);
                    bar.set(done as u64, "");
                    if done == total {
                        self.end();
                    }
                }
            }
            Told::Step(progress) => self.step(progress),
        }
    }

    fn step(&mut self, progress: &Progress<'_>) {
        let step = progress.step;
        let words = step_in_words(step, progress.tokens_per_second);
        if self.words.prefix.is_some() {
            if step.step == progress.total || step.step.is_multiple_of(50) {
                self.say(&format!("{}/{} {words}", step.step, progress.total));
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| Bar::new("train", 0));
        bar.length(progress.total as u64);
        bar.set(step.step as u64, &words);
        if step.step == progress.total {
            self.end_with(&words);
        }
    }

    fn say(&self, line: &str) {
        match &self.words.prefix {
            Some(prefix) => say(&format!("{prefix}  {line}")),
            None => say(line),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish("");
        }
    }

    fn end_with(&mut self, words: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish(words);
        }
    }
}
