//! The Qwen2 decoder: embeddings become hidden states, with grouped-query attention, 1-D RoPE and
//! an optional key-value cache.
//!
//! Source: `transformers` `models/qwen2/modeling_qwen2.py`.

// B batch, S new positions, C cached positions, T = C + S, E width, H heads, G kv heads, D head width

use candle_core::{D, DType, Tensor};
use candle_nn::kv_cache::KvCache;

use crate::config::TextConfig;
use crate::error::{Error, Result};
use crate::ops::{Linear, RmsNorm, rope, softmax, swiglu};
use crate::weights::Weights;

#[derive(Clone, Debug)]
struct Block {
    input_layernorm: RmsNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    post_attention_layernorm: RmsNorm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

/// The decoder without its embedding table and output layer.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    blocks: Vec<Block>,
    norm: RmsNorm,
    config: TextConfig,
}

/// Keys and values of the positions already read.
#[derive(Clone, Debug)]
pub struct Cache {
    blocks: Vec<KvCache>,
    /// Positions held, C.
    length: usize,
}

impl Cache {
    pub(crate) fn new(config: &TextConfig, positions: usize) -> Self {
        Self {
            blocks: vec![KvCache::new(2, positions.max(1)); config.num_hidden_layers],
            length: 0,
        }
    }

    /// Positions held.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Where each row of a batch begins: rows of unequal length are padded on the left, and what is
/// padding is neither attended to nor counted as a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftPadding(pub Vec<usize>);

/// Score matrices larger than this are computed a few queries at a time.
const ATTENTION_BYTES: usize = 512 << 20;

impl Decoder {
    pub(crate) fn new(config: &TextConfig, weights: &Weights) -> Self {
        let root = "model.language_model";
        let norm = |name: String| RmsNorm {
            weight: weights.get(&name),
            eps: config.rms_norm_eps,
        };
        let linear = |name: String| weights.linear(&name);
        let blocks = (0..config.num_hidden_layers)
            .map(|layer| {
                let block = format!("{root}.layers.{layer}");
                Block {
                    input_layernorm: norm(format!("{block}.input_layernorm.weight")),
                    q_proj: linear(format!("{block}.self_attn.q_proj")),
                    k_proj: linear(format!("{block}.self_attn.k_proj")),
                    v_proj: linear(format!("{block}.self_attn.v_proj")),
                    o_proj: linear(format!("{block}.self_attn.o_proj")),
                    post_attention_layernorm: norm(format!(
                        "{block}.post_attention_layernorm.weight"
                    )),
                    gate_proj: linear(format!("{block}.mlp.gate_proj")),
                    up_proj: linear(format!("{block}.mlp.up_proj")),
                    down_proj: linear(format!("{block}.mlp.down_proj")),
                }
            })
            .collect();
        Self {
            blocks,
            norm: norm(format!("{root}.norm.weight")),
            config: config.clone(),
        }
    }

    /// All its linear layers.
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.blocks.iter_mut().flat_map(|block| {
            [
                &mut block.q_proj,
                &mut block.k_proj,
                &mut block.v_proj,
                &mut block.o_proj,
                &mut block.gate_proj,
                &mut block.up_proj,
                &mut block.down_proj,
            ]
        })
    }

    /// Hidden states `[B, S, E]` after the final norm, from embeddings `[B, S, E]`; with a cache they
    /// continue after its positions, and their keys and values are added to it.
    pub(crate) fn forward(
        &self,
        embeddings: &Tensor,
        padding: Option<&LeftPadding>,
        cache: Option<&mut Cache>,
    ) -> Result<Tensor> {
        let (batch, new, _) = embeddings.dims3()?;
        let mut none = None;
        let (cached, mut caches) = match cache {
            Some(cache) => {
                let before = cache.length;
                cache.length += new;
                (before, Some(&mut cache.blocks))
            }
            None => (0, none.take()),
        };
        if let Some(LeftPadding(starts)) = padding
            && starts.len() != batch
        {
            let rows = starts.len();
            return Err(Error::Input(format!(
                "padding is given for {rows} rows of a batch of {batch}"
            )));
        }
        let (cos, sin) = self.angles(embeddings, cached, padding)?;
        let place = Place {
            cos,
            sin,
            mask: Mask {
                cached,
                padding,
                dtype: embeddings.dtype(),
            },
        };
        let mut hidden = embeddings.clone();
        for (index, block) in self.blocks.iter().enumerate() {
            let cache = caches.as_mut().map(|caches| &mut caches[index]);
            let normed = block.input_layernorm.forward(&hidden)?;
            let attended = self.attention(block, &normed, &place, cache)?;
            hidden = (hidden + attended)?;
            let normed = block.post_attention_layernorm.forward(&hidden)?;
            let inner = swiglu(
                &block.gate_proj.forward(&normed)?,
                &block.up_proj.forward(&normed)?,
            )?;
            hidden = (hidden + block.down_proj.forward(&inner)?)?;
        }
        Ok(self.norm.forward(&hidden)?)
    }

    fn attention(
        &self,
        block: &Block,
        normed: &Tensor,
        place: &Place,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor> {
        let (batch, new, _) = normed.dims3()?;
        let (heads, groups) = (
            self.config.num_attention_heads,
            self.config.num_key_value_heads,
        );
        let width = self.config.head_dim;
        let split = |x: Tensor, heads: usize| {
            x.reshape((batch, new, heads, width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let q = rope(
            &split(block.q_proj.forward(normed)?, heads)?,
            &place.cos,
            &place.sin,
        )?; // [B, H, S, D]
        let k = rope(
            &split(block.k_proj.forward(normed)?, groups)?,
            &place.cos,
            &place.sin,
        )?; // [B, G, S, D]
        let v = split(block.v_proj.forward(normed)?, groups)?;
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
                attend(
                    &queries,
                    &k,
                    &v,
                    place.mask.bias(batch, start, queries.dim(2)?, &k)?.as_ref(),
                )
            })
            .collect::<Result<Vec<_>>>()?;
        let attended = if parts.len() == 1 {
            parts[0].clone()
        } else {
            Tensor::cat(&parts, 2)?
        };
        let attended = attended
            .transpose(1, 2)?
            .reshape((batch, new, heads * width))?;
        Ok(block.o_proj.forward(&attended)?)
    }

    /// Cosines and sines of the new positions: `[S, D/2]`, or `[B, S, D/2]` under left padding.
    fn angles(
        &self,
        embeddings: &Tensor,
        cached: usize,
        padding: Option<&LeftPadding>,
    ) -> Result<(Tensor, Tensor)> {
        let (batch, new, _) = embeddings.dims3()?;
        let half = self.config.head_dim / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| {
                1.0 / (self.config.rope_theta as f32)
                    .powf(2.0 * i as f32 / self.config.head_dim as f32)
            })
            .collect();
        let row = |start: usize| {
            let positions = (cached..cached + new).map(move |i| i.saturating_sub(start) as f32);
            positions
                .flat_map(|position| frequencies.iter().map(move |f| position * f))
                .collect::<Vec<f32>>()
        };
        let device = embeddings.device();
        let angles = match padding {
            None => Tensor::from_vec(row(0), (new, half), device)?,
            Some(LeftPadding(starts)) => {
                let rows: Vec<f32> = starts.iter().flat_map(|&start| row(start)).collect();
                Tensor::from_vec(rows, (batch, new, half), device)?
            }
        };
        Ok((
            angles.cos()?.to_dtype(embeddings.dtype())?,
            angles.sin()?.to_dtype(embeddings.dtype())?,
        ))
    }
}

/// Where the new positions stand, the same for every block.
struct Place<'a> {
    cos: Tensor,
    sin: Tensor,
    mask: Mask<'a>,
}

/// Which earlier positions a query may look at.
struct Mask<'a> {
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
