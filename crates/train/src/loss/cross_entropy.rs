//! Cross-entropy of a linear layer's softmax, without ever holding all of its logits.
//!
//! E width, V vocabulary, N rows, C rows at a time.
//!
//! The gradient of a chunk is computed as soon as its logits are there, so that nothing of width V
//! waits on the tape.

use std::sync::Mutex;

use candle_core::{
    CpuStorage, CustomOp2, D, DType, InplaceOp1, Layout, Result, Shape, Tensor, bail,
};
use rayon::prelude::*;

/// Bytes of logits that are held at a time. The layer is read once for each such piece.
const LOGITS_BYTES: usize = 128 << 20;

/// The sum over rows of `-log softmax(row · headᵀ)[token]`, times `scale`.
pub(super) struct CrossEntropy<'a> {
    /// One for each row, below V.
    tokens: &'a [u32],
    scale: f64,
    /// C
    rows_at_a_time: usize,
}

impl<'a> CrossEntropy<'a> {
    /// For a vocabulary of `v`.
    pub(super) fn new(tokens: &'a [u32], scale: f64, v: usize) -> Self {
        let rows_at_a_time = (LOGITS_BYTES / (4 * v.max(1))).max(1);
        Self {
            tokens,
            scale,
            rows_at_a_time,
        }
    }

    /// A scalar with gradients for both arguments. `hidden` is `[N, E]`, `head` is `[V, E]`.
    pub(super) fn of(&self, hidden: &Tensor, head: &Tensor) -> Result<Tensor> {
        if hidden.device().is_cpu() && head.dtype() == DType::F32 && hidden.dtype() == DType::F32 {
            self.fused(hidden, head)
        } else {
            self.composed(hidden, head)
        }
    }

    /// Loss and both gradients in one pass over chunks of rows.
    fn fused(&self, hidden: &Tensor, head: &Tensor) -> Result<Tensor> {
        let (detached, weight) = (hidden.detach(), head.detach());
        let transposed = weight.t()?;
        let mut sum = 0.0;
        let mut by_hidden = Vec::new();
        let mut by_head: Option<Tensor> = None;
        for (start, tokens) in self.chunks() {
            let rows = detached.narrow(0, start, tokens.len())?;
            let logits = rows.matmul(&transposed)?;
            let residual = Residual {
                tokens,
                scale: self.scale as f32,
                losses: Mutex::default(),
            };
            logits.inplace_op1(&residual)?;
            sum += residual.losses.into_inner().expect("no row panics");
            if hidden.track_op() {
                by_hidden.push(logits.matmul(&weight)?);
            }
            if head.track_op() {
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
        let value = (sum * self.scale) as f32;
        hidden.apply_op2(
            head,
            Known {
                value,
                by_hidden,
                by_head,
            },
        )
    }

    /// The same by differentiable operations, for devices and types without the fused path. Its
    /// logits stay on the tape until `backward`.
    fn composed(&self, hidden: &Tensor, head: &Tensor) -> Result<Tensor> {
        let transposed = head.t()?;
        let mut total: Option<Tensor> = None;
        for (start, tokens) in self.chunks() {
            let rows = hidden.narrow(0, start, tokens.len())?;
            let logits = rows.matmul(&transposed)?.to_dtype(DType::F32)?;
            let logprobs = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
            let tokens = Tensor::new(tokens, hidden.device())?.unsqueeze(1)?;
            let loss = (logprobs.gather(&tokens, 1)?.sum_all()? * -self.scale)?;
            total = Some(match total {
                Some(total) => (total + loss)?,
                None => loss,
            });
        }
        Ok(total.expect("there is a target, so there is a chunk"))
    }

    /// First row and tokens of each chunk.
    fn chunks(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let rows = self.rows_at_a_time;
        self.tokens
            .chunks(rows)
            .enumerate()
            .map(move |(i, tokens)| (i * rows, tokens))
    }
}

/// Turns logits `[C, V]` into the loss's gradient by them, `(softmax − one-hot) · scale`, in place.
struct Residual<'a> {
    tokens: &'a [u32],
    scale: f32,
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
        let rows = logits[start..end].par_chunks_mut(v).zip(self.tokens);
        let losses: Vec<f64> = rows
            .map(|(row, &token)| self.row(row, token as usize))
            .collect();
        // Summed in row order: the same bytes on any number of threads.
        *self.losses.lock().expect("no row panics") = losses.iter().sum();
        Ok(())
    }
}

impl Residual<'_> {
    fn row(&self, row: &mut [f32], token: usize) -> f64 {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let target = row[token];
        let mut sum = 0.0f64;
        for logit in row.iter_mut() {
            *logit = (*logit - largest).exp();
            sum += f64::from(*logit);
        }
        let normalise = (f64::from(self.scale) / sum) as f32;
        for logit in row.iter_mut() {
            *logit *= normalise;
        }
        row[token] -= self.scale;
        sum.ln() - f64::from(target - largest)
    }
}

/// A scalar of two tensors whose gradients are known already.
struct Known {
    value: f32,
    by_hidden: Option<Tensor>,
    by_head: Option<Tensor>,
}

impl CustomOp2 for Known {
    fn name(&self) -> &'static str {
        "linear cross-entropy"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![self.value]), Shape::from(())))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let upstream = f64::from(upstream.to_scalar::<f32>()?);
        let scaled = |gradient: &Option<Tensor>| -> Result<_> {
            match gradient {
                Some(gradient) if upstream != 1.0 => Ok(Some((gradient * upstream)?)),
                known => Ok(known.clone()),
            }
        };
        Ok((scaled(&self.by_hidden)?, scaled(&self.by_head)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn var(dims: [usize; 2], seed: f64) -> Var {
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|i| ((i as f64 + seed) * 12.9898).sin() as f32)
            .collect();
        Var::from_vec(values, dims.as_slice(), &Device::Cpu).unwrap()
    }

    #[track_caller]
    fn close(found: &Tensor, want: &Tensor) {
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (found, want) = (values(found), values(want));
        assert_eq!(found.len(), want.len());
        for (found, want) in found.iter().zip(&want) {
            assert!(
                (found - want).abs() <= 1e-6 + 1e-5 * want.abs(),
                "{found} {want}"
            );
        }
    }

    #[track_caller]
    fn check(rows_at_a_time: usize) {
        let (hidden, head) = (var([7, 4], 0.3), var([6, 4], 7.0));
        let loss = CrossEntropy {
            tokens: &[1, 0, 5, 5, 2, 4, 3],
            scale: 1.0 / 3.0,
            rows_at_a_time,
        };
        let fused = loss.fused(&hidden, &head).unwrap();
        let plain = loss.composed(&hidden, &head).unwrap();
        close(&fused, &plain);
        // Twice the loss, so that the upstream gradient is not 1.
        let fused = (fused * 2.0).unwrap().backward().unwrap();
        let plain = (plain * 2.0).unwrap().backward().unwrap();
        for parameter in [&hidden, &head] {
            close(fused.get(parameter).unwrap(), plain.get(parameter).unwrap());
        }
    }

    #[test]
    fn the_fused_path_agrees_with_plain_operations_in_value_and_gradients() {
        check(7);
    }

    #[test]
    fn several_chunks_agree_as_well() {
        check(3);
    }

    #[test]
    fn a_frozen_head_gets_no_gradient() {
        let (hidden, head) = (var([2, 4], 0.3), var([6, 4], 7.0));
        let loss = CrossEntropy::new(&[1, 2], 1.0, 6);
        let gradients = loss
            .fused(&hidden, &head.detach())
            .unwrap()
            .backward()
            .unwrap();
        assert!(gradients.get(&hidden).is_some() && gradients.get(&head).is_none());
    }
}
