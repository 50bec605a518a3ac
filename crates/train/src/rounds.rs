//! What the loop asks of a stage: from the next samples of the data order, something to minimise. For
//! supervised learning these are the samples themselves; in reinforcement learning a round of samples
//! becomes rollouts first, and may be learnt from more than once.

use std::collections::BTreeMap;

use crate::Error;
use crate::step::{Item, Objective};
use crate::tensorboard::Completion;
use crate::workers::Workers;

/// What comes next.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The optimizer step, counted from 1.
    pub step: usize,
    /// Micro-batches of the rest of the epoch, as indices of [`Rounds::items`]; one at least.
    pub batches: &'a [Vec<usize>],
    /// How many of them a step is meant to have.
    pub accumulation: usize,
    /// To work on them.
    pub workers: &'a Workers,
}

impl<'a> Asked<'a> {
    /// The micro-batches that the step is meant to have.
    pub fn meant(&self) -> &'a [Vec<usize>] {
        &self.batches[..self.accumulation.min(self.batches.len())]
    }
}

/// What to minimise in one step.
pub struct Round<O> {
    /// Over this round's items.
    pub objective: O,
    /// Micro-batches of each update of the weights, as indices of the objective's items; none if there
    /// is nothing to learn.
    pub updates: Vec<Vec<Vec<usize>>>,
    /// Micro-batches of the data order that were used up; one at least.
    pub used: usize,
    /// What was measured on the way, for the event of the step.
    pub measured: BTreeMap<String, f32>,
    /// A few of the completions that were drawn, for who watches.
    pub shown: Vec<Completion>,
}

/// A stage, as the loop sees it.
pub trait Rounds: Sync {
    /// What a round minimises.
    type Objective<'a>: Objective
    where
        Self: 'a;

    /// All there is to learn from, in an order that is the same in every run.
    fn items(&self) -> &[Item];

    /// Told once before the first round: so many steps were taken already. What a stage wrote down of
    /// later ones will happen again.
    fn begin(&self, _steps: usize) -> Result<(), Error> {
        Ok(())
    }

    /// The next step.
    fn round<'a>(&'a self, asked: Asked<'_>) -> Result<Round<Self::Objective<'a>>, Error>;

    /// Told after each step, the weights being changed and not yet saved.
    fn after(&self, _step: usize) -> Result<(), Error> {
        Ok(())
    }
}

/// Learns from the samples themselves.
pub struct Plain<O>(pub O);

impl<O: Objective> Rounds for Plain<O> {
    type Objective<'a>
        = &'a O
    where
        O: 'a;

    fn items(&self) -> &[Item] {
        self.0.items()
    }

    fn round<'a>(&'a self, asked: Asked<'_>) -> Result<Round<&'a O>, Error> {
        let batches = asked.meant();
        self.0.ahead(asked.batches);
        Ok(Round {
            objective: &self.0,
            updates: vec![batches.to_vec()],
            used: batches.len(),
            measured: BTreeMap::new(),
            shown: Vec::new(),
        })
    }
}

impl<O: Objective> Objective for &O {
    fn items(&self) -> &[Item] {
        (**self).items()
    }

    fn ahead(&self, batches: &[Vec<usize>]) {
        (**self).ahead(batches);
    }

    fn loss(
        &self,
        batch: &[usize],
        micro: crate::step::Micro,
    ) -> Result<crate::step::Loss, crate::BoxError> {
        (**self).loss(batch, micro)
    }
}
