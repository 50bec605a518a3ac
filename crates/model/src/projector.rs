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
        let linear = |index: usize| Linear {
            weight: weights.get(&format!("model.projector.readout.{index}.weight")),
            bias: Some(weights.get(&format!("model.projector.readout.{index}.bias"))),
        };
        Self {
            first: linear(0),
            second: linear(2),
        }
    }

    /// `[N, D]` to `[N, E]`.
    pub(crate) fn forward(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self
            .second
            .forward(&self.first.forward(features)?.gelu_erf()?)?)
    }
}
