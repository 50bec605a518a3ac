//! The Qwen2 decoder: embeddings become hidden states, with grouped-query attention, 1-D RoPE and
//! an optional key-value cache; for a padded batch or for a packed row.
//!
//! Source: `transformers` `models/qwen2/modeling_qwen2.py`.

// B batch, S new positions, E width

mod batch;
mod block;
mod cache;
mod rotary;
mod segments;

use std::sync::Arc;

use candle_core::Tensor;

use crate::config::TextConfig;
use crate::error::{Error, Result};
use crate::ops::{Linear, RmsNorm};
use crate::packing::Packing;
use crate::recompute::Recompute;
use crate::weights::Weights;
use batch::Place;
use block::Block;
pub use cache::{Cache, LeftPadding};
use segments::Segments;

/// Score matrices larger than this are computed a few queries at a time.
const ATTENTION_BYTES: usize = 512 << 20;

/// The decoder without its embedding table and output layer.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    blocks: Vec<Block>,
    norm: RmsNorm,
    config: TextConfig,
}

impl Decoder {
    pub(crate) fn new(config: &TextConfig, weights: &Weights) -> Self {
        Self {
            blocks: (0..config.num_hidden_layers)
                .map(|layer| Block::new(config, weights, layer))
                .collect(),
            norm: RmsNorm {
                weight: weights.get("model.language_model.norm.weight"),
                eps: config.rms_norm_eps,
            },
            config: config.clone(),
        }
    }

    /// All its linear layers.
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.blocks.iter_mut().flat_map(Block::linears_mut)
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
        let place = Place::new(&self.config, embeddings, cached, padding)?;
        let mut hidden = embeddings.clone();
        for (index, block) in self.blocks.iter().enumerate() {
            let cache = caches.as_mut().map(|caches| &mut caches[index]);
            hidden = block.forward(&hidden, |projected| place.attention(&projected, cache))?;
        }
        Ok(self.norm.forward(&hidden)?)
    }

    /// Hidden states `[S, E]` after the final norm of a packed row `[S, E]`.
    pub(crate) fn packed(
        &self,
        embeddings: &Tensor,
        packing: &Packing,
        recompute: Option<&Recompute>,
    ) -> Result<Tensor> {
        let (rows, _) = embeddings.dims2()?;
        if rows != packing.rows() {
            let expected = packing.rows();
            return Err(Error::Input(format!(
                "the segments of a packed row have {expected} positions together, the row has {rows}"
            )));
        }
        let segments = Arc::new(Segments::new(&self.config, packing, embeddings)?);
        let mut hidden = embeddings.clone();
        for block in &self.blocks {
            let run = {
                let segments = Arc::clone(&segments);
                move |block: &Block, hidden: &Tensor| {
                    block.forward(hidden, |projected| Ok(segments.attention(&projected)?))
                }
            };
            hidden = match recompute {
                Some(recompute) if hidden.track_op() || block.is_tracked() => {
                    let result = run(&block.detached(), &hidden.detach())?;
                    let block = block.clone();
                    recompute.remember(&hidden, &result, move |hidden| run(&block, hidden))?
                }
                _ => run(block, &hidden)?,
            };
        }
        Ok(self.norm.forward(&hidden)?)
    }
}
