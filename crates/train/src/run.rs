//! The loop: draw, compute, check, clip, step, write down; from the newest checkpoint if there is one.
//! What a step learns from is a stage's to say: the samples themselves, or what the model makes of them.

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
use crate::groups::Assignment;
use crate::lock::Lock;
use crate::optimizer::{AdamW, Factors};
use crate::order::{Order, Position};
use crate::recipe::{Length, Training, refused};
use crate::rounds::{Asked, Round, Rounds};
use crate::step::{Compute, Computed, Objective, compute};
use crate::workers::Workers;
use crate::{Error, Parameters, tensorboard};

/// A run: what to do, with what, where.
pub struct Run<'a, R> {
    /// Holds events and checkpoints; made if it is not there.
    pub folder: &'a Path,
    /// How the weights change.
    pub training: &'a Training,
    /// The whole recipe of the run, for the first event and for refusing to go on with another.
    pub recipe: serde_json::Value,
    /// What to learn from.
    pub rounds: &'a R,
    /// What to change.
    pub parameters: &'a Parameters,
    /// How each of them learns.
    pub plan: &'a BTreeMap<String, Assignment>,
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
pub fn run<R: Rounds>(
    run: &Run<'_, R>,
    progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Ended, Error> {
    let training = run.training;
    training.check()?;
    refuse_unlearnable(run)?;
    std::fs::create_dir_all(run.folder).at("create", run.folder)?;
    let _lock = Lock::take(run.folder)?;
    let sizes: Vec<_> = run.rounds.items().iter().map(|item| item.size).collect();
    let order = Order {
        seed: training.seed,
        sizes: &sizes,
        batch: training.batch,
        window: training.window,
    };
    let total = total_steps(training, &order);
    let schedule = training.schedule(total);
    let mut optimizer = AdamW::new(run.parameters, run.plan, training.adam())?;
    let (mut state, mut journal) = begin(run, total, &mut optimizer)?;
    run.rounds.begin(state.step)?;
    let mut board = tensorboard::mirror(run.folder)?;
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
        let number = state.step + 1;
        let round = run.rounds.round(Asked {
            step: number,
            batches: &epoch[state.position.batch..],
            accumulation: training.accumulation,
            workers: &workers,
        })?;
        let used = round.used.max(1);
        let shown = round.shown.clone();
        let mut step = learn(
            run,
            &mut optimizer,
            round,
            &Now {
                number,
                rate: schedule.factor(state.step),
                workers: &workers,
            },
        )?;
        run.rounds.after(number)?;
        step.epoch = state.position.epoch;
        step.seconds = started.elapsed().as_secs_f64();
        state.step = number;
        state.position.batch += used;
        tracing::debug!(step = number, loss = step.loss, grad_norm = step.grad_norm);
        journal.write(&Event::Step(step.clone()))?;
        board.step(&step)?;
        if !shown.is_empty() {
            board.completions(number, &shown)?;
        }
        let is_planned = planned(training, total)(number);
        if is_planned {
            save(run, &state, &optimizer, &journal)?;
            journal.write(&Event::Checkpoint { step: number })?;
            checkpoint::prune(run.folder, training.keep, planned(training, total))?;
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

/// The step that is being taken.
struct Now<'a> {
    /// Counted from 1.
    number: usize,
    /// The schedule's.
    rate: f64,
    workers: &'a Workers,
}

/// Changes the weights by one round, and tells of it.
fn learn<R: Rounds>(
    run: &Run<'_, R>,
    optimizer: &mut AdamW,
    round: Round<R::Objective<'_>>,
    now: &Now<'_>,
) -> Result<Step, Error> {
    let &Now {
        number,
        rate,
        workers,
    } = now;
    let Round {
        objective,
        updates,
        measured,
        ..
    } = round;
    let mut step = Step {
        step: number,
        learning_rates: optimizer.learning_rates(rate),
        parts: measured,
        ..Step::default()
    };
    let count = updates.len() as f32;
    for (update, batches) in updates.iter().enumerate() {
        let computed = compute(
            workers,
            &Compute {
                objective: &objective,
                parameters: run.parameters,
                step: number,
                seed: seed_of(run.training.seed, number, update),
                batches,
            },
        )?;
        let norm = finite_norm(&objective, &computed, number, batches)?;
        optimizer.step(
            &computed.gradients,
            Factors {
                gradient: clip_coefficient(norm, run.training.clip),
                learning_rate: rate,
            },
        )?;
        // Of several updates on the same samples their mean is told.
        step.loss += computed.loss / count;
        step.grad_norm += norm / f64::from(count);
        for (name, value) in computed.parts {
            *step.parts.entry(name).or_default() += value / count;
        }
        step.samples = computed.totals.samples;
        step.tokens = computed.totals.tokens;
        step.targets = computed.totals.targets;
    }
    Ok(step)
}

/// A seed for everything random in one update of the weights; its micro-batches follow it.
pub(crate) fn seed_of(seed: u64, step: usize, update: usize) -> u64 {
    let mut hash = Sha256::new();
    for part in [seed, step as u64, update as u64] {
        hash.update(part.to_le_bytes());
    }
    let bytes = hash.finalize();
    u64::from_le_bytes(
        bytes[..8]
            .try_into()
            .expect("a digest has more than 8 bytes"),
    )
}

fn refuse_unlearnable<R: Rounds>(run: &Run<'_, R>) -> Result<(), Error> {
    if run.rounds.items().is_empty() {
        return Err(Error::NoSamples {
            remedy: "give a data file with at least one record",
        });
    }
    if run.parameters.is_empty() {
        return Err(refused(
            "frozen",
            "every parameter",
            "leave something to train",
        ));
    }
    Ok(())
}

/// Optimizer steps of the whole run. An epoch ends with a smaller step if its micro-batches are not a
/// multiple of the accumulation.
pub(crate) fn total_steps(recipe: &Training, order: &Order<'_>) -> usize {
    match recipe.length {
        Length::Steps(steps) => steps,
        Length::Epochs(epochs) => (0..epochs)
            .map(|epoch| order.epoch(epoch).len().div_ceil(recipe.accumulation))
            .sum(),
    }
}

/// State and journal of a new run, or of one that goes on.
fn begin<R: Rounds>(
    run: &Run<'_, R>,
    total: usize,
    optimizer: &mut AdamW,
) -> Result<(State, Journal), Error> {
    let recipe = run.recipe.clone();
    let fresh = State::new(recipe.clone(), fingerprint(run.rounds));
    if let Some((path, state)) = checkpoint::newest(run.folder)? {
        checkpoint::refuse_other(&path, &state, &fresh)?;
        checkpoint::restore(&path, optimizer, run.artifacts)?;
        tracing::info!(step = state.step, path = %path.display(), "resuming");
        let mut journal = Journal::resume(run.folder, state.step)?;
        let planned = planned(run.training, total);
        if planned(state.step) {
            journal.write(&Event::Checkpoint { step: state.step })?;
            checkpoint::prune(run.folder, run.training.keep, planned)?;
        }
        return Ok((state, journal));
    }
    let mut journal = Journal::create(run.folder)?;
    journal.write(&Event::RunStart(RunStart {
        version: 1,
        recipe,
        seed: run.training.seed,
        versions: run.versions.clone(),
        data: fresh.data.clone(),
        samples: run.rounds.items().len(),
        parameters: run
            .parameters
            .values()
            .map(|parameter| parameter.elem_count())
            .sum(),
        steps: total,
    }))?;
    Ok((fresh, journal))
}

fn fingerprint(rounds: &impl Rounds) -> String {
    let mut hash = Sha256::new();
    for item in rounds.items() {
        // JSON keeps an id that holds a separator apart from two ids.
        let line = serde_json::json!([item.id, item.size.tokens, item.targets, item.labels]);
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
fn planned(recipe: &Training, total: usize) -> impl Fn(usize) -> bool {
    let every = recipe.checkpoint_every;
    move |step| step == total || step.is_multiple_of(every)
}

fn save<R: Rounds>(
    run: &Run<'_, R>,
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
