//! The angles that positions turn queries and keys by (arXiv:2104.09864).

use candle_core::{DType, Device, Tensor};

use crate::config::TextConfig;
use crate::error::Result;

/// Cosines and sines of positions.
#[derive(Clone, Debug)]
pub(super) struct Angles {
    /// `[.., D/2]`.
    pub cos: Tensor,
    /// `[.., D/2]`.
    pub sin: Tensor,
}

impl Angles {
    /// Of `positions` in this order, `[positions, D/2]`.
    pub(super) fn of(
        config: &TextConfig,
        positions: &[usize],
        (dtype, device): (DType, &Device),
    ) -> Result<Self> {
        let half = config.head_dim / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| 1.0 / (config.rope_theta as f32).powf(2.0 * i as f32 / config.head_dim as f32))
            .collect();
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|&position| frequencies.iter().map(move |f| position as f32 * f))
            .collect();
        let angles = Tensor::from_vec(angles, (positions.len(), half), device)?;
        Ok(Self {
            cos: angles.cos()?.to_dtype(dtype)?,
            sin: angles.sin()?.to_dtype(dtype)?,
        })
    }
}
