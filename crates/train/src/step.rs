//! One optimizer step's gradient: its micro-batches go forward and backward on several threads, and
//! what they give is added in their order, so that the number of threads changes nothing but time.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use candle_core::Tensor;

use crate::error::Doing;
use crate::gradient::Gradients;
use crate::{BoxError, Error, Parameters};

/// One thing to learn from, as far as the loop needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Unique in the data.
    pub id: String,
    /// Tokens that the model reads.
    pub length: usize,
    /// Tokens that the loss is about.
    pub targets: usize,
}

/// Counts over all micro-batches of an optimizer step: what losses are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// For losses per sample.
    pub samples: usize,
    /// Read by the model.
    pub tokens: usize,
    /// For losses per token.
    pub targets: usize,
}

impl Totals {
    /// Over these micro-batches.
    pub fn of(items: &[Item], batches: &[Vec<usize>]) -> Self {
        batches
            .iter()
            .flatten()
            .fold(Self::default(), |sum, &i| Self {
                samples: sum.samples + 1,
                tokens: sum.tokens + items[i].length,
                targets: sum.targets + items[i].targets,
            })
    }
}

/// The loss of one micro-batch, already divided by the step's totals: micro-batches add up.
pub struct Loss {
    /// A scalar that reaches the parameters.
    pub total: Tensor,
    /// What the total is made of, by name; empty if it is one thing.
    pub parts: Vec<(&'static str, f32)>,
}

/// What a stage minimises.
pub trait Objective: Sync {
    /// All there is to learn from, in an order that is the same in every run.
    fn items(&self) -> &[Item];

    /// The loss of the items with these indices. Called from several threads at a time.
    fn loss(&self, batch: &[usize], totals: Totals) -> Result<Loss, BoxError>;
}

/// What an optimizer step knows before it changes the weights.
pub struct Computed {
    /// Over all its micro-batches.
    pub loss: f32,
    /// What the loss is made of.
    pub parts: BTreeMap<String, f32>,
    /// Over all its micro-batches.
    pub gradients: Gradients,
    /// What was divided by.
    pub totals: Totals,
}

/// Threads in groups, each of which carries one micro-batch at a time.
///
/// A group is a pool of its own: matrix products stay inside of it, so that one micro-batch does not
/// wait for another's. Element-wise operations on large tensors go to one pool of candle's, however,
/// and take turns there, unless the process was started with `CANDLE_NUM_THREADS=1`: start it so when
/// there is more than one group.
pub struct Workers(Vec<rayon::ThreadPool>);

/// The tape is walked by recursion, one frame an operation.
const STACK_BYTES: usize = 64 << 20;

impl Workers {
    /// `groups` micro-batches at a time, on `cores` threads in all.
    pub fn new(groups: NonZeroUsize, cores: NonZeroUsize) -> Result<Self, Error> {
        let threads = (cores.get() / groups).max(1);
        let turns = std::env::var("CANDLE_NUM_THREADS").is_ok_and(|threads| threads == "1");
        if groups.get() > 1 && !turns {
            tracing::warn!(
                groups,
                "micro-batches wait for each other without CANDLE_NUM_THREADS=1"
            );
        }
        let pool = || {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .stack_size(STACK_BYTES)
                .build()
        };
        let pools: Result<_, _> = (0..groups.get()).map(|_| pool()).collect();
        pools
            .map(Self)
            .map_err(|error| Error::Threads(error.to_string()))
    }

    /// Loss and gradient of optimizer step `step` over `batches`.
    pub fn compute(
        &self,
        objective: &impl Objective,
        parameters: &Parameters,
        step: usize,
        batches: &[Vec<usize>],
    ) -> Result<Computed, Error> {
        let totals = Totals::of(objective.items(), batches);
        let mut sum = Computed {
            loss: 0.0,
            parts: BTreeMap::new(),
            gradients: Gradients::default(),
            totals,
        };
        for round in batches.chunks(self.0.len()) {
            let one = |batch: &Vec<usize>| one(objective, parameters, batch, totals);
            let results: Vec<_> = std::thread::scope(|scope| {
                let running: Vec<_> = round
                    .iter()
                    .zip(&self.0)
                    .map(|(batch, pool)| scope.spawn(move || pool.install(|| one(batch))))
                    .collect();
                running
                    .into_iter()
                    .map(std::thread::ScopedJoinHandle::join)
                    .collect()
            });
            for (batch, result) in round.iter().zip(results) {
                let samples = || {
                    batch
                        .iter()
                        .map(|&i| objective.items()[i].id.clone())
                        .collect()
                };
                let micro = result
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    .map_err(|source| Error::Objective {
                        step,
                        samples: samples(),
                        source,
                    })?;
                if !micro.loss.is_finite() {
                    return Err(Error::NonFiniteLoss {
                        step,
                        loss: micro.loss,
                        samples: samples(),
                    });
                }
                sum.loss += micro.loss;
                for (name, value) in micro.parts {
                    *sum.parts.entry(name.to_owned()).or_default() += value;
                }
                sum.gradients
                    .add(micro.gradients)
                    .doing("adding gradients")?;
            }
        }
        Ok(sum)
    }
}

struct Micro {
    loss: f32,
    parts: Vec<(&'static str, f32)>,
    gradients: Gradients,
}

fn one(
    objective: &impl Objective,
    parameters: &Parameters,
    batch: &[usize],
    totals: Totals,
) -> Result<Micro, BoxError> {
    let Loss { total, parts } = objective.loss(batch, totals)?;
    let loss = total.to_scalar::<f32>()?;
    if !loss.is_finite() {
        return Ok(Micro {
            loss,
            parts,
            gradients: Gradients::default(),
        });
    }
    let mut store = total.backward()?;
    Ok(Micro {
        loss,
        parts,
        gradients: Gradients::take(&mut store, parameters)?,
    })
}
