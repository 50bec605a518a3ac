//! What an adapter adds to its linear layer.

// N rows, I input width, O output width, r rank

use candle_core::{Result, Tensor};
use rand::RngCore;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// `scale · dropout(x) Aᵀ Bᵀ` (arXiv:2106.09685, equation 3).
#[derive(Clone, Debug)]
pub(crate) struct Adapter {
    /// `[r, I]`.
    pub a: Tensor,
    /// `[O, r]`.
    pub b: Tensor,
    /// `alpha / r`.
    pub scale: f64,
    dropout: Dropout,
}

/// Zeroes a share of an adapter's input while training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    /// The share, 0 or more and less than 1.
    pub share: f64,
    /// Which of the model's adapters this is: each draws its own.
    pub index: u64,
    /// Nothing is dropped without one.
    seed: Option<u64>,
}

impl Dropout {
    /// Does nothing until it gets a seed.
    pub(crate) fn resting(share: f64, index: u64) -> Self {
        Self {
            share,
            index,
            seed: None,
        }
    }

    /// The inputs that stay, grown by `1 / (1 - share)`. The same for the same seed, layer and shape:
    /// a block that is computed again in the backward pass drops what it dropped.
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let Some(seed) = self.seed.filter(|_| self.share > 0.0) else {
            return Ok(x.clone());
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(self.index);
        let below = (self.share * 2f64.powi(32)) as u32;
        let grown = (1.0 / (1.0 - self.share)) as f32;
        let mask: Vec<f32> = (0..x.elem_count())
            .map(|_| if rng.next_u32() < below { 0.0 } else { grown })
            .collect();
        let mask = Tensor::from_vec(mask, x.shape(), x.device())?;
        x * mask.to_dtype(x.dtype())?
    }
}

impl Adapter {
    pub(crate) fn new(a: Tensor, b: Tensor, scale: f64, dropout: Dropout) -> Self {
        Self {
            a,
            b,
            scale,
            dropout,
        }
    }

    /// From now on drops by `seed`.
    pub(crate) fn drop_by(&mut self, seed: u64) {
        self.dropout.seed = Some(seed);
    }

    /// `[N, O]` of rows `[N, I]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.dropout.apply(x)?.matmul(&self.a.t()?)?; // [N, r]
        // The narrow side is scaled: r numbers a row instead of O.
        (inner * self.scale)?.matmul(&self.b.t()?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn dropped(share: f64, index: u64, seed: u64) -> Vec<f32> {
        let mut dropout = Dropout::resting(share, index);
        dropout.seed = Some(seed);
        let ones = Tensor::ones((100, 100), candle_core::DType::F32, &Device::Cpu).unwrap();
        let out = dropout.apply(&ones).unwrap();
        out.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_share_is_dropped_and_the_rest_grows_to_the_same_mean() {
        let out = dropped(0.2, 0, 1);
        assert!(out.iter().all(|&x| x == 0.0 || x == 1.25));
        let zeros = out.iter().filter(|&&x| x == 0.0).count();
        // 2000 expected with a standard deviation of 40.
        assert!((1800..2200).contains(&zeros), "{zeros}");
    }

    #[test]
    fn each_layer_draws_its_own() {
        assert_eq!(dropped(0.5, 3, 1), dropped(0.5, 3, 1));
        assert_ne!(dropped(0.5, 3, 1), dropped(0.5, 4, 1));
        assert_ne!(dropped(0.5, 3, 1), dropped(0.5, 3, 2));
    }
}
