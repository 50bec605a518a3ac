//! The operations between the matrix products, each in two forms: the fast one that candle has no
//! gradient for, and the composed one that training needs. Which is taken depends on whether any
//! input is tracked, so the same blocks serve both.
//!
//! Fused versions with a gradient replace the bodies here without touching the blocks.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::ops as fast;

use crate::lora::Adapter;

/// `x Wᵀ + b`, and what its adapter adds. `x` `[.., I]`, `weight` `[O, I]`, `bias` `[O]`; gives
/// `[.., O]`.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub weight: Tensor,
    pub bias: Option<Tensor>,
    pub adapter: Option<Adapter>,
}

impl Linear {
    /// Without an adapter.
    pub(crate) fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight,
            bias,
            adapter: None,
        }
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        let input = dims.pop().expect("a linear layer's input has a width");
        let rows: usize = dims.iter().product();
        let x = x.reshape((rows, input))?;
        let out = x.matmul(&self.weight.t()?)?;
        let out = match &self.bias {
            Some(bias) => out.broadcast_add(bias)?,
            None => out,
        };
        let out = match &self.adapter {
            Some(adapter) => (out + adapter.forward(&x)?)?,
            None => out,
        };
        dims.push(self.weight.dim(0)?);
        out.reshape(dims)
    }
}

/// RMSNorm over the last dimension, computed in f32 (arXiv:1910.07467; Qwen2's `Qwen2RMSNorm`).
#[derive(Clone, Debug)]
pub(crate) struct RmsNorm {
    pub weight: Tensor,
    pub eps: f64,
}

impl RmsNorm {
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !tracked(&[x, &self.weight]) {
            return fast::rms_norm(&x.contiguous()?, &self.weight, self.eps as f32);
        }
        let wide = x.to_dtype(DType::F32)?;
        let mean_square = wide.sqr()?.mean_keepdim(D::Minus1)?;
        let normed = wide.broadcast_div(&(mean_square + self.eps)?.sqrt()?)?;
        normed.to_dtype(x.dtype())?.broadcast_mul(&self.weight)
    }
}

/// LayerNorm over the last dimension, computed in f32.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    pub weight: Tensor,
    pub bias: Tensor,
    pub eps: f64,
}

impl LayerNorm {
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !tracked(&[x, &self.weight, &self.bias]) {
            return fast::layer_norm(&x.contiguous()?, &self.weight, &self.bias, self.eps as f32);
        }
        let wide = x.to_dtype(DType::F32)?;
        let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let normed = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        normed
            .to_dtype(x.dtype())?
            .broadcast_mul(&self.weight)?
            .broadcast_add(&self.bias)
    }
}

/// Softmax over the last dimension, in f32.
pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    let wide = x.to_dtype(DType::F32)?;
    let out = if tracked(&[x]) {
        candle_nn::ops::softmax(&wide, D::Minus1)?
    } else {
        fast::softmax_last_dim(&wide.contiguous()?)?
    };
    out.to_dtype(x.dtype())
}

/// Softmax over the keys that each query sees, in f32. `scores` `[.., N, T]` of queries that are the
/// last N of the T places: the last sees all, each before it one less. Without gradients.
pub(crate) fn causal_softmax(scores: &Tensor) -> Result<Tensor> {
    let (_, queries, keys) = scores.dims3()?;
    if queries == 1 {
        return softmax(scores);
    }
    let unseen = |query: usize, key: usize| key > keys - queries + query;
    let bias: Vec<f32> = (0..queries)
        .flat_map(|query| (0..keys).map(move |key| unseen(query, key)))
        .map(|unseen| if unseen { f32::NEG_INFINITY } else { 0.0 })
        .collect();
    let bias = Tensor::from_vec(bias, (queries, keys), scores.device())?;
    softmax(&scores.broadcast_add(&bias.to_dtype(scores.dtype())?)?)
}

/// `silu(gate) · up`, element by element.
pub(crate) fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

/// Turns pairs of dimensions `(i, i + D/2)` by the angles. `x` `[B, H, S, D]`; `cos`, `sin`
/// `[S, D/2]`, or `[B, S, D/2]` where the rows of a batch have positions of their own. Computed in
/// the angles' type: the vision encoder turns in f32 whatever its weights are, as the port does.
pub(crate) fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    if x.dtype() != cos.dtype() {
        return rope(&x.to_dtype(cos.dtype())?, cos, sin)?.to_dtype(x.dtype());
    }
    let (_, _, _, width) = x.dims4()?;
    let half = width / 2;
    let (cos, sin) = if cos.rank() == 3 {
        (cos.unsqueeze(1)?, sin.unsqueeze(1)?)
    } else {
        (cos.clone(), sin.clone())
    };
    if cos.rank() == 2 && !tracked(&[x]) {
        return candle_nn::rotary_emb::rope(&x.contiguous()?, &cos, &sin);
    }
    let first = x.narrow(D::Minus1, 0, half)?;
    let second = x.narrow(D::Minus1, half, half)?;
    let turned_first = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
    let turned_second = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
    Tensor::cat(&[turned_first, turned_second], D::Minus1)
}

/// Whether a gradient may be asked of a result of these.
fn tracked(inputs: &[&Tensor]) -> bool {
    inputs.iter().any(|input| input.track_op())
}
