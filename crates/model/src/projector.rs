//! The projector: patch features become vision tokens as wide as the decoder (`mlp2x_gelu`).

use candle_core::Tensor;

use crate::error::Result;
use crate::ops::Linear;
use crate::weights::Weights;

/// Two linear layers with an exact GELU between them.
#[derive(Clone, Debug)]
pub(crate) struct Projector {
    first: Linear,
    second: Linear,
}

impl Projector {
    pub(crate) fn new(weights: &Weights) -> Self {
        let linear = |index: usize| weights.linear(&format!("model.projector.readout.{index}"));
        Self {
            first: linear(0),
            second: linear(2),
        }
    }

    /// All its linear layers.
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        [&mut self.first, &mut self.second].into_iter()
    }

    /// `[N, D]` to `[N, E]`.
    pub(crate) fn forward(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self
            .second
            .forward(&self.first.forward(features)?.gelu_erf()?)?)
    }
}
