//! A linear layer's softmax read at one token a row, without ever holding all of its logits.
//!
//! E width, V vocabulary, N rows, C rows at a time.

use std::sync::Mutex;

use candle_core::{
    CpuStorage, CustomOp1, D, DType, InplaceOp1, Layout, Result, Shape, Tensor, bail,
};
use rayon::prelude::*;

/// Bytes of logits that are held at a time. The layer is read once for each such piece.
const LOGITS_BYTES: usize = 128 << 20;

/// Hidden rows `[N, E]`, a head `[V, E]`, and the token of each row.
pub(super) struct LinearSoftmax<'a> {
    hidden: &'a Tensor,
    head: &'a Tensor,
    /// N of them, below V.
    tokens: &'a [u32],
    /// C
    rows_at_a_time: usize,
}

/// What one pass forward and backward finds.
pub(super) struct Pass {
    /// `-log softmax(row · headᵀ)[token]`, summed over the rows, not scaled.
    pub(super) sum: f64,
    /// `[N, E]`, if the hidden rows are on the tape.
    pub(super) by_hidden: Option<Tensor>,
    /// `[V, E]`, if the head is on the tape.
    pub(super) by_head: Option<Tensor>,
}

impl<'a> LinearSoftmax<'a> {
    /// Error: a token outside of the vocabulary, or not one for each row.
    pub(super) fn new(hidden: &'a Tensor, head: &'a Tensor, tokens: &'a [u32]) -> Result<Self> {
        let (n, _) = hidden.dims2()?;
        let (v, _) = head.dims2()?;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= v) {
            bail!("target token {token} is outside of the vocabulary of {v}");
        }
        if tokens.len() != n {
            bail!("{n} hidden rows for {} target tokens", tokens.len());
        }
        Ok(Self {
            hidden,
            head,
            tokens,
            rows_at_a_time: (LOGITS_BYTES / (4 * v.max(1))).max(1),
        })
    }

    #[cfg(test)]
    pub(super) fn with_rows_at_a_time(mut self, rows: usize) -> Self {
        self.rows_at_a_time = rows;
        self
    }

    /// Whether [`LinearSoftmax::logprobs`] and [`LinearSoftmax::backward`] can be used.
    pub(super) fn is_fast(&self) -> bool {
        let f32 = |tensor: &Tensor| tensor.dtype() == DType::F32;
        self.hidden.device().is_cpu() && f32(self.head) && f32(self.hidden)
    }

    /// `log softmax(row · headᵀ)[token]` of each row, off the tape.
    pub(super) fn logprobs(&self) -> Result<Vec<f32>> {
        let (detached, transposed) = (self.hidden.detach(), self.head.detach().t()?);
        let mut all = Vec::with_capacity(self.tokens.len());
        for (start, tokens) in self.chunks() {
            let rows = detached.narrow(0, start, tokens.len())?;
            let chosen = rows
                .matmul(&transposed)?
                .apply_op1_no_bwd(&Chosen { tokens })?;
            all.extend(chosen.to_vec1::<f32>()?);
        }
        Ok(all)
    }

    /// Losses and gradients of the sum of each row's loss times its scale.
    pub(super) fn backward(&self, scales: &[f32]) -> Result<Pass> {
        let (detached, weight) = (self.hidden.detach(), self.head.detach());
        let transposed = weight.t()?;
        let mut sum = 0.0;
        let mut by_hidden = Vec::new();
        let mut by_head: Option<Tensor> = None;
        for (start, tokens) in self.chunks() {
            let rows = detached.narrow(0, start, tokens.len())?;
            let logits = rows.matmul(&transposed)?;
            let residual = Residual {
                tokens,
                scales: &scales[start..start + tokens.len()],
                losses: Mutex::default(),
            };
            logits.inplace_op1(&residual)?;
            sum += residual.losses.into_inner().expect("no row panics");
            if self.hidden.track_op() {
                by_hidden.push(logits.matmul(&weight)?);
            }
            if self.head.track_op() {
                let part = logits.t()?.matmul(&rows)?;
                by_head = Some(match by_head {
                    Some(sum) => (sum + part)?,
                    None => part,
                });
            }
        }
        let by_hidden = match by_hidden.as_slice() {
            [] => None,
            parts => Some(Tensor::cat(parts, 0)?),
        };
        Ok(Pass {
            sum,
            by_hidden,
            by_head,
        })
    }

    /// `[N]`, by differentiable operations, for devices and types without the fast path. Its logits
    /// stay on the tape until `backward`.
    pub(super) fn composed(&self) -> Result<Tensor> {
        let transposed = self.head.t()?;
        let mut parts = Vec::new();
        for (start, tokens) in self.chunks() {
            let rows = self.hidden.narrow(0, start, tokens.len())?;
            let logits = rows.matmul(&transposed)?.to_dtype(DType::F32)?;
            let logprobs = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
            let tokens = Tensor::new(tokens, self.hidden.device())?.unsqueeze(1)?;
            parts.push(logprobs.gather(&tokens, 1)?.squeeze(1)?);
        }
        Tensor::cat(&parts, 0)
    }

    /// First row and tokens of each chunk.
    fn chunks(&self) -> impl Iterator<Item = (usize, &'a [u32])> {
        let rows = self.rows_at_a_time;
        self.tokens
            .chunks(rows)
            .enumerate()
            .map(move |(i, tokens)| (i * rows, tokens))
    }
}

/// Logits `[C, V]` to the log-probability of one token a row, `[C]`.
struct Chosen<'a> {
    tokens: &'a [u32],
}

impl CustomOp1 for Chosen<'_> {
    fn name(&self) -> &'static str {
        "log-probability of tokens"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(logits), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("log-probabilities need contiguous f32 logits, not {layout:?}");
        };
        let v = layout.dims()[1];
        let rows = logits[start..end].par_chunks(v).zip(self.tokens);
        let chosen: Vec<f32> = rows
            .map(|(row, &token)| {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = row
                    .iter()
                    .map(|logit| f64::from((logit - largest).exp()))
                    .sum();
                (f64::from(row[token as usize] - largest) - sum.ln()) as f32
            })
            .collect();
        let shape = Shape::from(chosen.len());
        Ok((CpuStorage::F32(chosen), shape))
    }
}

/// Turns logits `[C, V]` into the loss's gradient by them, `(softmax − one-hot) · scale`, in place.
struct Residual<'a> {
    tokens: &'a [u32],
    /// Of each row's loss.
    scales: &'a [f32],
    /// Sum of the rows' losses, not scaled.
    losses: Mutex<f64>,
}

impl InplaceOp1 for Residual<'_> {
    fn name(&self) -> &'static str {
        "cross-entropy residual"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(logits), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("cross-entropy needs contiguous f32 logits, not {layout:?}");
        };
        let v = layout.dims()[1];
        let rows = logits[start..end].par_chunks_mut(v);
        let losses: Vec<f64> = rows
            .zip(self.tokens)
            .zip(self.scales)
            .map(|((row, &token), &scale)| residual(row, token as usize, scale))
            .collect();
        // Summed in row order: the same bytes on any number of threads.
        *self.losses.lock().expect("no row panics") = losses.iter().sum();
        Ok(())
    }
}

/// One row in place; its loss.
fn residual(row: &mut [f32], token: usize, scale: f32) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let target = row[token];
    let mut sum = 0.0f64;
    for logit in row.iter_mut() {
        *logit = (*logit - largest).exp();
        sum += f64::from(*logit);
    }
    let normalise = (f64::from(scale) / sum) as f32;
    for logit in row.iter_mut() {
        *logit *= normalise;
    }
    row[token] -= scale;
    sum.ln() - f64::from(target - largest)
}
