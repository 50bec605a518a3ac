//! Gradient checkpointing: blocks that keep only their input and are computed again in the backward
//! pass (arXiv:1604.06174).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Tensor, TensorId, Var};

use crate::error::{Error, Result};
use crate::tape::{Given, node1};

/// Collects the gradients of what blocks capture: candle's own store sees only their inputs. One for
/// each forward and backward pass, or one for several that add up.
#[derive(Clone, Debug, Default)]
pub struct Recompute {
    gradients: Arc<Mutex<HashMap<TensorId, Tensor>>>,
}

impl Recompute {
    /// With nothing collected.
    pub fn new() -> Self {
        Self::default()
    }

    /// The gradients of the variables inside of blocks by the variables' ids, after `backward`. Those
    /// of what is outside of blocks are in candle's store; a variable that is used in both has one
    /// part here and one there, to be added.
    pub fn take(&self) -> HashMap<TensorId, Tensor> {
        std::mem::take(
            &mut *self
                .gradients
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// `result`, what `block` makes of `input` off the tape, with a backward pass that computes the
    /// block again.
    pub(crate) fn remember(
        &self,
        input: &Tensor,
        result: &Tensor,
        block: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Tensor> {
        let collector = self.clone();
        // Without a tracked input candle never asks for the block's backward pass.
        let input = if input.track_op() {
            input.clone()
        } else {
            Var::from_tensor(input)?.into_inner()
        };
        let backward = move |input: &Tensor, given: Given<'_>| {
            collector
                .backward(input, given.gradient, &block)
                .map(Some)
                .map_err(|error| match error {
                    Error::Tensor(error) => error,
                    other => candle_core::Error::wrap(other),
                })
        };
        Ok(node1(&input, result, backward)?)
    }

    /// The gradient of the input; those of the block's variables are added to what was collected.
    fn backward(
        &self,
        input: &Tensor,
        gradient: &Tensor,
        block: &impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let input = Var::from_tensor(input)?;
        let pulled = (block(input.as_tensor())? * gradient)?.sum_all()?;
        let mut found = pulled.backward()?;
        let mut gradients = self
            .gradients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for node in pulled.sorted_nodes() {
            if !node.is_variable() || node.id() == input.id() {
                continue;
            }
            let Some(found) = found.remove(node) else {
                continue;
            };
            let sum = match gradients.remove(&node.id()) {
                Some(known) => (known + found)?,
                None => found,
            };
            gradients.insert(node.id(), sum);
        }
        match found.remove(&input) {
            Some(gradient) => Ok(gradient),
            None => Ok(input.zeros_like()?),
        }
    }
}
