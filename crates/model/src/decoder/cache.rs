//! What a batch remembers between two passes.

use candle_core::Tensor;
use candle_nn::kv_cache::KvCache;

use crate::config::TextConfig;
use crate::error::Result;

/// Keys and values of the positions already read.
#[derive(Clone, Debug)]
pub struct Cache {
    pub(super) blocks: Vec<KvCache>,
    /// Positions held, C.
    pub(super) length: usize,
}

impl Cache {
    pub(crate) fn new(config: &TextConfig, positions: usize) -> Self {
        Self {
            blocks: vec![KvCache::new(2, positions.max(1)); config.num_hidden_layers],
            length: 0,
        }
    }

    /// The cache of a batch made of these rows of this one, each perhaps several times, with room for
    /// `positions`.
    ///
    /// # Errors
    /// If a row is outside of the batch, or a tensor operation fails.
    pub(crate) fn gathered(&self, rows: &[u32], positions: usize) -> Result<Self> {
        let gather = |block: &KvCache| -> Result<KvCache> {
            let mut gathered = KvCache::new(2, positions.max(1));
            if let (Some(k), Some(v)) = (block.k()?, block.v()?) {
                let rows = Tensor::new(rows, k.device())?;
                let pick = |x: Tensor| x.contiguous()?.index_select(&rows, 0);
                gathered.append(&pick(k)?, &pick(v)?)?;
            }
            Ok(gathered)
        };
        Ok(Self {
            blocks: self.blocks.iter().map(gather).collect::<Result<_>>()?,
            length: self.length,
        })
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
