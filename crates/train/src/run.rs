//! The loop: draw, compute, check, clip, step, write down; from the newest checkpoint if there is one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::checkpoint::{self, Artifacts, State};
use crate::error::{At, Doing};
use crate::events::{Event, Journal, RunStart, Step};
use crate::gradient::clip_coefficient;
use crate::lock::Lock;
use crate::optimizer::{AdamW, Factors};
use crate::order::{Order, Position};
use crate::recipe::{Length, Sft};
use crate::step::{Computed, Objective, Workers};
use crate::{Error, Parameters};

/// A run: what to do, with what, where.
pub struct Run<'a, O> {
    /// Holds events and checkpoints; made if it is not there.
    pub folder: &'a Path,
    /// What to do.
    pub recipe: &'a Sft,
    /// What to minimise.
    pub objective: &'a O,
    /// What to change. None of them may be frozen by the recipe.
    pub parameters: &'a Parameters,
    /// How the weights get to disk and back.
    pub artifacts: &'a dyn Artifacts,
    /// Micro-batches at a time; changes the time a step takes and the memory it needs, no result.
    pub workers: NonZeroUsize,
    /// For the first event: of the program and of what its numbers depend on.
    pub versions: BTreeMap<String, String>,
}

/// Where the run is, after each optimizer step.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// What was written down for this step.
    pub step: &'a Step,
    /// Steps of the whole run.
    pub total: usize,
    /// Since this process began the run or resumed it.
    pub elapsed: Duration,
    /// Until the last step, at the mean pace so far.
    pub left: Duration,
    /// Read by the model each second, so far.
    pub tokens_per_second: f64,
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps were taken; the last checkpoint is a usable model.
    Complete {
        /// Its folder.
        checkpoint: PathBuf,
    },
    /// The progress callback broke it off; a checkpoint was written, with which it can be resumed.
    Stopped {
        /// Optimizer steps taken.
        step: usize,
    },
}

/// Starts the run of a folder, or takes it up where its newest checkpoint is.
pub fn run<O: Objective>(
    run: &Run<'_, O>,
    progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Ended, Error> {
    let recipe = run.recipe;
    recipe.check()?;
    refuse_unlearnable(run)?;
    std::fs::create_dir_all(run.folder).at("create", run.folder)?;
    let _lock = Lock::take(run.folder)?;
    let lengths: Vec<usize> = run
        .objective
        .items()
        .iter()
        .map(|item| item.length)
        .collect();
    let order = Order {
        seed: recipe.seed,
        lengths: &lengths,
        batch: recipe.batch,
        window: recipe.window,
    };
    let total = total_steps(recipe, &order);
    let schedule = recipe.schedule(total);
    let names = run.parameters.keys().map(String::as_str);
    let plan = names.filter_map(|name| Some((name.to_owned(), recipe.rules().assignment(name)?)));
    let mut optimizer = AdamW::new(run.parameters, &plan.collect(), recipe.adam())?;
    let (mut state, mut journal) = begin(run, total, &mut optimizer)?;
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let workers = Workers::new(run.workers, cores)?;

    let mut epoch = order.epoch(state.position.epoch);
    let mut pace = Pace::new(total - state.step);
    while state.step < total {
        let started = Instant::now();
        if state.position.batch >= epoch.len() {
            state.position = Position {
                epoch: state.position.epoch + 1,
                batch: 0,
            };
            epoch = order.epoch(state.position.epoch);
        }
        let rest = &epoch[state.position.batch..];
        let batches = &rest[..recipe.accumulation.min(rest.len())];
        let number = state.step + 1;
        let computed = workers.compute(run.objective, run.parameters, number, batches)?;
        let norm = finite_norm(run.objective, &computed, number, batches)?;
        let factors = Factors {
            gradient: clip_coefficient(norm, recipe.clip),
            learning_rate: schedule.factor(state.step),
        };
        optimizer.step(&computed.gradients, factors)?;
        let step = Step {
            step: number,
            epoch: state.position.epoch,
            loss: computed.loss,
            parts: computed.parts,
            grad_norm: norm,
            learning_rates: optimizer.learning_rates(factors.learning_rate),
            samples: computed.totals.samples,
            tokens: computed.totals.tokens,
            targets: computed.totals.targets,
            seconds: started.elapsed().as_secs_f64(),
        };
        state.step = number;
        state.position.batch += batches.len();
        tracing::debug!(step = number, loss = step.loss, grad_norm = norm);
        journal.write(&Event::Step(step.clone()))?;
        let is_planned = planned(recipe, total)(number);
        if is_planned {
            save(run, &state, &optimizer, &journal)?;
            journal.write(&Event::Checkpoint { step: number })?;
            checkpoint::prune(run.folder, recipe.keep, planned(recipe, total))?;
        }
        if progress(&pace.after(&step, total)).is_break() && number < total {
            if !is_planned {
                save(run, &state, &optimizer, &journal)?;
            }
            return Ok(Ended::Stopped { step: number });
        }
    }
    journal.write(&Event::End { step: total })?;
    journal.sync()?;
    let (checkpoint, _) = checkpoint::newest(run.folder)?.expect("the last step wrote one");
    Ok(Ended::Complete { checkpoint })
}

fn refuse_unlearnable<O: Objective>(run: &Run<'_, O>) -> Result<(), Error> {
    if run.objective.items().is_empty() {
        return Err(Error::NoSamples {
            remedy: "give a data file with at least one record",
        });
    }
    if run.parameters.is_empty() {
        return Err(Error::Recipe {
            key: "frozen".into(),
            value: "every parameter".into(),
            remedy: "leave something to train",
        });
    }
    Ok(())
}

/// Optimizer steps of the whole run. An epoch ends with a smaller step if its micro-batches are not a
/// multiple of the accumulation.
fn total_steps(recipe: &Sft, order: &Order<'_>) -> usize {
    match recipe.length {
        Length::Steps(steps) => steps,
        Length::Epochs(epochs) => (0..epochs)
            .map(|epoch| order.epoch(epoch).len().div_ceil(recipe.accumulation))
            .sum(),
    }
}

/// State and journal of a new run, or of one that goes on.
fn begin<O: Objective>(
    run: &Run<'_, O>,
    total: usize,
    optimizer: &mut AdamW,
) -> Result<(State, Journal), Error> {
    let recipe = serde_json::to_value(run.recipe).expect("a recipe is plain data with text keys");
    let fresh = State::new(recipe.clone(), fingerprint(run.objective));
    if let Some((path, state)) = checkpoint::newest(run.folder)? {
        checkpoint::refuse_other(&path, &state, &fresh)?;
        checkpoint::restore(&path, optimizer, run.artifacts)?;
        tracing::info!(step = state.step, path = %path.display(), "resuming");
        let mut journal = Journal::resume(run.folder, state.step)?;
        let planned = planned(run.recipe, total);
        if planned(state.step) {
            journal.write(&Event::Checkpoint { step: state.step })?;
            checkpoint::prune(run.folder, run.recipe.keep, planned)?;
        }
        return Ok((state, journal));
    }
    let mut journal = Journal::create(run.folder)?;
    journal.write(&Event::RunStart(RunStart {
        version: 1,
        recipe,
        seed: run.recipe.seed,
        versions: run.versions.clone(),
        data: fresh.data.clone(),
        samples: run.objective.items().len(),
        parameters: run
            .parameters
            .values()
            .map(|parameter| parameter.elem_count())
            .sum(),
        steps: total,
    }))?;
    Ok((fresh, journal))
}

fn fingerprint(objective: &impl Objective) -> String {
    let mut hash = Sha256::new();
    for item in objective.items() {
        // JSON keeps an id that holds a separator apart from two ids.
        let line = serde_json::json!([item.id, item.length, item.targets]);
        hash.update(line.to_string());
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn finite_norm(
    objective: &impl Objective,
    computed: &Computed,
    step: usize,
    batches: &[Vec<usize>],
) -> Result<f64, Error> {
    let norm = computed.gradients.norm().doing("measuring the gradient")?;
    if norm.is_finite() {
        return Ok(norm);
    }
    let parameter = computed
        .gradients
        .first_non_finite()
        .doing("measuring the gradient")?;
    let ids = batches
        .iter()
        .flatten()
        .map(|&i| objective.items()[i].id.clone());
    Err(Error::NonFiniteGradient {
        step,
        parameter: parameter.unwrap_or("all together").to_owned(),
        samples: ids.collect(),
    })
}

/// Whether the recipe asks for a checkpoint after a step. One that a stopped run leaves behind is not
/// planned: no event tells of it and the next planned one replaces it, so that stopping leaves no trace.
fn planned(recipe: &Sft, total: usize) -> impl Fn(usize) -> bool {
    let every = recipe.checkpoint_every;
    move |step| step == total || step.is_multiple_of(every)
}

fn save<O: Objective>(
    run: &Run<'_, O>,
    state: &State,
    optimizer: &AdamW,
    journal: &Journal,
) -> Result<(), Error> {
    // A checkpoint on the disk implies the events that led to it.
    journal.sync()?;
    checkpoint::write(run.folder, state, optimizer, run.artifacts)?;
    Ok(())
}

struct Pace {
    started: Instant,
    left: usize,
    taken: u32,
    tokens: usize,
}

impl Pace {
    fn new(left: usize) -> Self {
        Self {
            started: Instant::now(),
            left,
            taken: 0,
            tokens: 0,
        }
    }

    fn after<'a>(&mut self, step: &'a Step, total: usize) -> Progress<'a> {
        self.left -= 1;
        self.taken += 1;
        self.tokens += step.tokens;
        let elapsed = self.started.elapsed();
        Progress {
            step,
            total,
            elapsed,
            left: (elapsed / self.taken)
                .saturating_mul(u32::try_from(self.left).unwrap_or(u32::MAX)),
            tokens_per_second: self.tokens as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
        }
    }
}
