//! One optimizer step's gradient: its micro-batches go forward and backward on several threads, and
//! what they give is added in their order.

use std::collections::BTreeMap;

use candle_core::Tensor;
use model::Recompute;
use safety::Labels;

use crate::error::Doing;
use crate::gradient::Gradients;
use crate::order::Size;
use crate::workers::Workers;
use crate::{BoxError, Error, Parameters};

/// One thing to learn from, as far as the loop needs to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Unique in the data.
    pub id: String,
    /// Tokens that the model reads, and patches that it sees.
    pub size: Size,
    /// Tokens that the loss is about.
    pub targets: usize,
    /// For the alarm heads.
    pub labels: Labels,
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
    /// Samples with a label of the video.
    pub visual: usize,
    /// Samples with a label of the query.
    pub textual: usize,
}

impl Totals {
    /// Over these micro-batches.
    pub fn of(items: &[Item], batches: &[Vec<usize>]) -> Self {
        batches.iter().flatten().fold(Self::default(), |sum, &i| {
            let item = &items[i];
            Self {
                samples: sum.samples + 1,
                tokens: sum.tokens + item.size.tokens,
                targets: sum.targets + item.targets,
                visual: sum.visual + usize::from(item.labels.visual.is_some()),
                textual: sum.textual + usize::from(item.labels.textual.is_some()),
            }
        })
    }
}

/// What a micro-batch knows of the optimizer step that it is part of.
#[derive(Clone, Copy, Debug)]
pub struct Micro {
    /// Over the whole step.
    pub totals: Totals,
    /// Of whatever is random in this micro-batch.
    pub seed: u64,
}

/// The loss of one micro-batch, already divided by the step's totals: micro-batches add up.
pub struct Loss {
    /// A scalar that reaches the parameters.
    pub total: Tensor,
    /// What the total is made of and what was counted on the way, by name, as shares that add up.
    pub parts: Vec<(&'static str, f32)>,
    /// Holds gradients after the backward pass if blocks were computed again in it.
    pub recompute: Option<Recompute>,
}

/// What a stage minimises.
pub trait Objective: Sync {
    /// All there is to learn from, in an order that is the same in every run.
    fn items(&self) -> &[Item];

    /// Told what comes next, in that order, so that it can be made ready meanwhile.
    fn ahead(&self, _batches: &[Vec<usize>]) {}

    /// The loss of the items with these indices. Called from several threads at a time.
    fn loss(&self, batch: &[usize], micro: Micro) -> Result<Loss, BoxError>;
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

/// What one call of [`compute`] is about.
pub struct Compute<'a, O> {
    /// What to minimise.
    pub objective: &'a O,
    /// Whose gradients are asked for.
    pub parameters: &'a Parameters,
    /// Counted from 1, for errors.
    pub step: usize,
    /// Of this step; micro-batch `i` draws from stream `i`.
    pub seed: u64,
    /// Indices of the objective's items.
    pub batches: &'a [Vec<usize>],
}

/// Loss and gradient of one optimizer step.
pub fn compute<O: Objective>(workers: &Workers, asked: &Compute<'_, O>) -> Result<Computed, Error> {
    let items = asked.objective.items();
    let totals = Totals::of(items, asked.batches);
    let mut sum = Computed {
        loss: 0.0,
        parts: BTreeMap::new(),
        gradients: Gradients::default(),
        totals,
    };
    let make = |i: usize| {
        let micro = Micro {
            totals,
            seed: asked.seed.wrapping_add(i as u64),
        };
        one(asked, &asked.batches[i], micro)
    };
    workers.ordered(asked.batches.len(), &make, &mut |i, result| {
        let samples = || {
            let ids = asked.batches[i].iter().map(|&item| items[item].id.clone());
            ids.collect()
        };
        let done = result.map_err(|source| Error::Objective {
            step: asked.step,
            samples: samples(),
            source,
        })?;
        if !done.loss.is_finite() {
            return Err(Error::NonFiniteLoss {
                step: asked.step,
                loss: done.loss,
                samples: samples(),
            });
        }
        sum.loss += done.loss;
        for (name, value) in done.parts {
            *sum.parts.entry(name.to_owned()).or_default() += value;
        }
        sum.gradients.add(done.gradients).doing("adding gradients")
    })?;
    Ok(sum)
}

struct Done {
    loss: f32,
    parts: Vec<(&'static str, f32)>,
    gradients: Gradients,
}

fn one<O: Objective>(
    asked: &Compute<'_, O>,
    batch: &[usize],
    micro: Micro,
) -> Result<Done, BoxError> {
    let Loss {
        total,
        parts,
        recompute,
    } = asked.objective.loss(batch, micro)?;
    let loss = total.to_scalar::<f32>()?;
    if !loss.is_finite() {
        return Ok(Done {
            loss,
            parts,
            gradients: Gradients::default(),
        });
    }
    let mut store = total.backward()?;
    let mut gradients = Gradients::take(&mut store, asked.parameters)?;
    if let Some(recompute) = recompute {
        let mut inside = recompute.take();
        let mut more = Gradients::default();
        for (name, parameter) in asked.parameters {
            if let Some(gradient) = inside.remove(&parameter.id()) {
                more.0.insert(name.clone(), gradient);
            }
        }
        gradients.add(more)?;
    }
    Ok(Done {
        loss,
        parts,
        gradients,
    })
}
