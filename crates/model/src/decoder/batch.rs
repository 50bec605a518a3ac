//! Attention of a batch of rows, over a cache where there is one.

// B batch, S new positions, C cached positions, T = C + S, H heads, G kv heads, D head width

use candle_core::{D, DType, Tensor};
use candle_nn::kv_cache::KvCache;

use super::ATTENTION_BYTES;
use super::block::Projected;
use super::cache::LeftPadding;
use super::rotary::Angles;
use crate::config::TextConfig;
use crate::error::Result;
use crate::ops::{rope, softmax};

/// Where the new positions stand, the same for every block.
pub(super) struct Place<'a> {
    pub config: &'a TextConfig,
    /// `[S, D/2]`, or `[B, S, D/2]` under left padding.
    pub angles: Angles,
    pub mask: Mask<'a>,
}

impl<'a> Place<'a> {
    /// Of new positions that stand where `embeddings` `[B, S, E]` are, after `cached` others.
    pub(super) fn new(
        config: &'a TextConfig,
        embeddings: &Tensor,
        cached: usize,
        padding: Option<&'a LeftPadding>,
    ) -> Result<Self> {
        let (batch, new, _) = embeddings.dims3()?;
        let row = |start: usize| (cached..cached + new).map(move |i| i.saturating_sub(start));
        let positions: Vec<usize> = match padding {
            None => row(0).collect(),
            Some(LeftPadding(starts)) => starts.iter().flat_map(|&start| row(start)).collect(),
        };
        let dtype = embeddings.dtype();
        let mut angles = Angles::of(config, &positions, (dtype, embeddings.device()))?;
        if padding.is_some() {
            let shape = (batch, new, config.head_dim / 2);
            angles.cos = angles.cos.reshape(shape)?;
            angles.sin = angles.sin.reshape(shape)?;
        }
        let mask = Mask {
            cached,
            padding,
            dtype,
        };
        Ok(Self {
            config,
            angles,
            mask,
        })
    }

    /// `[B, S, H·D]`; keys and values are added to the cache.
    pub(super) fn attention(
        &self,
        projected: &Projected,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor> {
        let (batch, new, _) = projected.q.dims3()?;
        let heads = self.config.num_attention_heads;
        let groups = self.config.num_key_value_heads;
        let width = self.config.head_dim;
        let split = |x: &Tensor, heads: usize| {
            x.reshape((batch, new, heads, width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let (cos, sin) = (&self.angles.cos, &self.angles.sin);
        let q = rope(&split(&projected.q, heads)?, cos, sin)?; // [B, H, S, D]
        let k = rope(&split(&projected.k, groups)?, cos, sin)?; // [B, G, S, D]
        let v = split(&projected.v, groups)?;
        let (k, v) = match cache {
            Some(cache) => cache.append(&k, &v)?,
            None => (k, v),
        };
        let q = (q * (1.0 / (width as f64).sqrt()))?;
        let total = k.dim(2)?;
        let step = (ATTENTION_BYTES / (batch * heads * total * 4)).clamp(1, new);
        let parts = (0..new)
            .step_by(step)
            .map(|start| {
                let queries = q.narrow(2, start, step.min(new - start))?;
                let bias = self.mask.bias(batch, start, queries.dim(2)?, &k)?;
                attend(&queries, &k, &v, bias.as_ref())
            })
            .collect::<Result<Vec<_>>>()?;
        let attended = Tensor::cat(&parts, 2)?;
        Ok(attended
            .transpose(1, 2)?
            .reshape((batch, new, heads * width))?)
    }
}

/// Which earlier positions a query may look at.
pub(super) struct Mask<'a> {
    cached: usize,
    padding: Option<&'a LeftPadding>,
    dtype: DType,
}

impl Mask<'_> {
    /// Added to the scores of `count` queries from the new position `start` on: `[B or 1, 1, count, T]`
    /// of 0 and minus infinity, or nothing where every key is visible.
    fn bias(
        &self,
        batch: usize,
        start: usize,
        count: usize,
        keys: &Tensor,
    ) -> Result<Option<Tensor>> {
        let total = keys.dim(2)?;
        let first = self.cached + start;
        if self.padding.is_none() && count == 1 && first + 1 == total {
            return Ok(None);
        }
        let row = |begin: usize| {
            (first..first + count).flat_map(move |query| {
                (0..total).map(move |key| {
                    // A padding query sees itself, so that its softmax has something to sum over.
                    let visible = key <= query && (key >= begin || key == query);
                    if visible { 0f32 } else { f32::NEG_INFINITY }
                })
            })
        };
        let (rows, values): (usize, Vec<f32>) = match self.padding {
            None => (1, row(0).collect()),
            Some(LeftPadding(starts)) => {
                (batch, starts.iter().flat_map(|&begin| row(begin)).collect())
            }
        };
        let bias = Tensor::from_vec(values, (rows, 1, count, total), keys.device())?;
        Ok(Some(bias.to_dtype(self.dtype)?))
    }
}

/// Grouped-query attention without copying keys and values for each head of a group.
/// `q` `[B, H, S, D]`, already scaled; `k`, `v` `[B, G, T, D]`; gives `[B, H, S, D]`.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (batch, heads, new, width) = q.dims4()?;
    let (_, groups, total, _) = k.dims4()?;
    let stacked = (batch, groups, heads / groups * new, width);
    let scores = q
        .reshape(stacked)?
        .matmul(&k.transpose(D::Minus2, D::Minus1)?)?;
    let scores = scores.reshape((batch, heads, new, total))?;
    let scores = match bias {
        Some(bias) => scores.broadcast_add(bias)?,
        None => scores,
    };
    let weights = softmax(&scores)?.reshape((batch, groups, heads / groups * new, total))?;
    Ok(weights.matmul(v)?.reshape((batch, heads, new, width))?)
}
