//! Masked next-token cross-entropy over the vocabulary, straight from hidden states.
//!
//! B batch, S sequence, E width, V vocabulary, N rows that have a target, C rows at a time.
//!
//! Logits exist for C rows only, and only where there is a target. The gradient of a chunk is
//! computed as soon as its logits are there, so that nothing of width V waits on the tape.

use std::sync::Mutex;

use candle_core::{
    CpuStorage, CustomOp2, D, DType, InplaceOp1, Layout, Result, Shape, Tensor, bail,
};
use rayon::prelude::*;

/// Bytes of logits that are held at a time.
const LOGITS_BYTES: usize = 32 << 20;

/// Where the hidden states have something to predict, and what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Rows of the hidden states flattened to `[B·S, E]`.
    rows: Vec<u32>,
    /// The token that each of these rows should predict.
    tokens: Vec<u32>,
}

impl Targets {
    /// For sequences right-padded to `padded` tokens: position `i` predicts the label of `i + 1`.
    /// A label of `None` (prompt, vision, padding) is no target; nor is the first of a sequence.
    pub fn next<L: AsRef<[Option<u32>]>>(labels: &[L], padded: usize) -> Self {
        let mut targets = Self::default();
        for (sequence, labels) in labels.iter().enumerate() {
            for (position, label) in labels.as_ref().iter().enumerate().skip(1) {
                if let Some(token) = label {
                    targets.rows.push((sequence * padded + position - 1) as u32);
                    targets.tokens.push(*token);
                }
            }
        }
        targets
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is nothing to predict.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// How many targets [`Targets::next`] finds in one sequence.
pub fn target_count(labels: &[Option<u32>]) -> usize {
    labels.iter().skip(1).flatten().count()
}

/// The sum over targets of `-log softmax(hidden · headᵀ)[token]`, divided by `divisor`: a scalar with
/// gradients for both arguments. `hidden` is `[B, S, E]`, `head` is `[V, E]`.
///
/// `divisor` is the number of targets of the whole optimizer step; with the number of this batch it is
/// the mean of `torch.nn.functional.cross_entropy`. Without targets the loss is 0, and of no parameter.
pub fn next_token(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Targets,
    divisor: f64,
) -> Result<Tensor> {
    let (b, s, e) = hidden.dims3()?;
    let (v, _) = head.dims2()?;
    if let Some(token) = targets.tokens.iter().find(|&&token| token as usize >= v) {
        bail!("target token {token} is outside of the vocabulary of {v}");
    }
    let flat = hidden.reshape((b * s, e))?;
    if targets.is_empty() {
        return Tensor::zeros((), DType::F32, hidden.device());
    }
    let rows = Tensor::new(targets.rows.as_slice(), hidden.device())?;
    let chosen = flat.index_select(&rows, 0)?;
    let loss = CrossEntropy {
        tokens: &targets.tokens,
        scale: 1.0 / divisor,
    };
    if hidden.device().is_cpu() && head.dtype() == DType::F32 && hidden.dtype() == DType::F32 {
        loss.fused(&chosen, head)
    } else {
        loss.composed(&chosen, head)
    }
}

struct CrossEntropy<'a> {
    /// One for each row.
    tokens: &'a [u32],
    scale: f64,
}

impl CrossEntropy<'_> {
    /// Loss and both gradients in one pass over chunks of rows. `hidden` is `[N, E]`.
    fn fused(&self, hidden: &Tensor, head: &Tensor) -> Result<Tensor> {
        let (detached, weight) = (hidden.detach(), head.detach());
        let transposed = weight.t()?;
        let mut sum = 0.0;
        let mut by_hidden = Vec::new();
        let mut by_head: Option<Tensor> = None;
        for (start, tokens) in self.chunks(head.dim(0)?) {
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
        for (start, tokens) in self.chunks(head.dim(0)?) {
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
    fn chunks(&self, v: usize) -> impl Iterator<Item = (usize, &[u32])> {
        let rows = (LOGITS_BYTES / (4 * v.max(1))).max(1);
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

    fn var(dims: &[usize], seed: f64) -> Var {
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|i| ((i as f64 + seed) * 12.9898).sin() as f32)
            .collect();
        Var::from_tensor(&Tensor::from_vec(values, dims, &Device::Cpu).unwrap()).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[track_caller]
    fn close(found: &[f32], want: &[f32]) {
        assert_eq!(found.len(), want.len());
        for (found, want) in found.iter().zip(want) {
            assert!(
                (found - want).abs() <= 1e-6 + 1e-5 * want.abs(),
                "{found} {want}"
            );
        }
    }

    fn targets() -> Targets {
        let first = vec![None, None, Some(3), Some(1), None];
        let second = vec![None, Some(0), None];
        Targets::next(&[first, second], 5)
    }

    #[test]
    fn a_position_predicts_the_next_label() {
        assert_eq!(
            targets(),
            Targets {
                rows: vec![1, 2, 5],
                tokens: vec![3, 1, 0]
            }
        );
    }

    #[test]
    fn the_label_of_the_first_token_is_nobodys_target() {
        assert!(Targets::next(&[vec![Some(1), None]], 2).is_empty());
        assert_eq!(target_count(&[Some(1), None, Some(2)]), 1);
    }

    #[test]
    fn the_fused_path_agrees_with_plain_operations_in_value_and_gradients() {
        let (hidden, head) = (var(&[2, 5, 4], 0.3), var(&[6, 4], 7.0));
        let fused = next_token(&hidden, &head, &targets(), 3.0).unwrap();
        let flat = hidden.reshape((10, 4)).unwrap();
        let rows = Tensor::new(targets().rows.as_slice(), &Device::Cpu).unwrap();
        let loss = CrossEntropy {
            tokens: &targets().tokens,
            scale: 1.0 / 3.0,
        };
        let plain = loss
            .composed(&flat.index_select(&rows, 0).unwrap(), &head)
            .unwrap();
        close(&values(&fused), &values(&plain));
        // Twice the loss, so that the upstream gradient is not 1.
        let fused = (fused * 2.0).unwrap().backward().unwrap();
        let plain = (plain * 2.0).unwrap().backward().unwrap();
        for parameter in [&hidden, &head] {
            close(
                &values(fused.get(parameter).unwrap()),
                &values(plain.get(parameter).unwrap()),
            );
        }
    }

    #[test]
    fn rows_without_a_target_get_no_gradient() {
        let (hidden, head) = (var(&[2, 5, 4], 0.3), var(&[6, 4], 7.0));
        let loss = next_token(&hidden, &head, &targets(), 3.0).unwrap();
        let gradient = loss
            .backward()
            .unwrap()
            .get(&hidden)
            .unwrap()
            .reshape((10, 4))
            .unwrap();
        for (row, values) in gradient.to_vec2::<f32>().unwrap().iter().enumerate() {
            assert_eq!(
                values.iter().any(|&x| x != 0.0),
                [1, 2, 5].contains(&row),
                "row {row}"
            );
        }
    }

    #[test]
    fn logits_of_a_thousand_neither_overflow_nor_vanish() {
        let head = Var::new(&[[1f32], [-1.0]], &Device::Cpu).unwrap();
        let hidden = Var::new(&[[[1000f32], [0.0]]], &Device::Cpu).unwrap();
        for (token, want) in [(0, 0.0), (1, 2000.0)] {
            let targets = Targets::next(&[vec![None, Some(token)]], 2);
            let loss = next_token(&hidden, &head, &targets, 1.0).unwrap();
            assert_eq!(loss.to_scalar::<f32>().unwrap(), want);
        }
    }

    #[test]
    fn a_nan_in_the_hidden_states_is_a_nan_in_the_loss() {
        let head = Var::new(&[[1f32], [-1.0]], &Device::Cpu).unwrap();
        let hidden = Var::new(&[[[f32::NAN], [0.0]]], &Device::Cpu).unwrap();
        let targets = Targets::next(&[vec![None, Some(0)]], 2);
        let loss = next_token(&hidden, &head, &targets, 1.0).unwrap();
        assert!(loss.to_scalar::<f32>().unwrap().is_nan());
    }

    #[test]
    fn a_batch_without_targets_has_loss_zero() {
        let (hidden, head) = (var(&[1, 2, 4], 0.3), var(&[6, 4], 7.0));
        let loss = next_token(&hidden, &head, &Targets::default(), 1.0).unwrap();
        assert_eq!(loss.to_scalar::<f32>().unwrap(), 0.0);
        assert!(loss.backward().unwrap().get(&hidden).is_none());
    }

    #[test]
    fn a_target_outside_of_the_vocabulary_is_refused() {
        let (hidden, head) = (var(&[1, 2, 4], 0.3), var(&[6, 4], 7.0));
        let targets = Targets::next(&[vec![None, Some(6)]], 2);
        let error = next_token(&hidden, &head, &targets, 1.0)
            .unwrap_err()
            .to_string();
        assert!(error.contains("token 6"), "{error}");
    }
}
