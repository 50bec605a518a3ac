//! Log-probabilities of given tokens straight from hidden rows: the logits are computed a chunk at a
//! time, forgotten, and computed again for the gradient.
//!
//! E width, V vocabulary, N rows.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

use super::linear_softmax::LinearSoftmax;

/// `log softmax(row · headᵀ)[token]` of each row: `[N]` in f32, with gradients for both arguments.
/// `hidden` is `[N, E]`, `head` is `[V, E]`, with a token for each row.
///
/// At a temperature other than 1, divide `hidden` by it. Arguments off the tape cost no second pass.
pub fn logprobs(hidden: &Tensor, head: &Tensor, tokens: &[u32]) -> Result<Tensor> {
    let rows = LinearSoftmax::new(hidden, head, tokens)?;
    if tokens.is_empty() {
        return Tensor::zeros(0, DType::F32, hidden.device());
    }
    if !rows.is_fast() {
        return rows.composed();
    }
    let op = Recomputed {
        tokens: tokens.to_vec(),
        values: rows.logprobs()?,
    };
    hidden.apply_op2(head, op)
}

/// The sum of each sequence's log-probabilities: `[C]` of `[T]`, where `lengths` are those of the
/// C sequences that follow each other.
pub fn sums(logprobs: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let t = logprobs.dims1()?;
    let total: usize = lengths.iter().sum();
    if total != t || lengths.is_empty() {
        bail!("{t} log-probabilities for sequences of {total} tokens in all");
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(lengths.len());
    for &length in lengths {
        parts.push(logprobs.narrow(0, start, length)?.sum_all()?);
        start += length;
    }
    Tensor::stack(&parts, 0)
}

/// Keeps no logits between forward and backward.
struct Recomputed {
    tokens: Vec<u32>,
    values: Vec<f32>,
}

impl CustomOp2 for Recomputed {
    fn name(&self) -> &'static str {
        "linear log-probabilities"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = Shape::from(self.values.len());
        Ok((CpuStorage::F32(self.values.clone()), shape))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        head: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // The pass is that of losses, which are these values negated.
        let scales: Vec<f32> = upstream.to_vec1::<f32>()?.iter().map(|g| -g).collect();
        let pass = LinearSoftmax::new(hidden, head, &self.tokens)?.backward(&scales)?;
        Ok((pass.by_hidden, pass.by_head))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::loss::tests::{close, var};

    #[test]
    fn the_recomputing_path_agrees_with_plain_operations() {
        let (hidden, head) = (var(&[4, 5], 0.3), var(&[6, 5], 7.0));
        let tokens = [3, 0, 5, 5];
        let fast = logprobs(&hidden, &head, &tokens).unwrap();
        let plain = LinearSoftmax::new(&hidden, &head, &tokens).unwrap();
        let plain = plain.composed().unwrap();
        close(&fast, &plain);
        let weights = Tensor::new(&[1f32, -2.0, 0.0, 0.5], &Device::Cpu).unwrap();
        let gradients = |values: &Tensor| {
            let loss = (values * &weights).unwrap().sum_all().unwrap();
            loss.backward().unwrap()
        };
        let (fast, plain) = (gradients(&fast), gradients(&plain));
        for parameter in [&hidden, &head] {
            close(fast.get(parameter).unwrap(), plain.get(parameter).unwrap());
        }
    }

    #[test]
    fn a_frozen_head_gets_no_gradient() {
        let (hidden, head) = (var(&[2, 4], 0.3), var(&[6, 4], 7.0));
        let values = logprobs(&hidden, &head.detach(), &[1, 2]).unwrap();
        let gradients = values.sum_all().unwrap().backward().unwrap();
        assert!(gradients.get(&hidden).is_some() && gradients.get(&head).is_none());
    }

    #[test]
    fn no_rows_have_no_log_probabilities() {
        let (hidden, head) = (var(&[2, 4], 0.3), var(&[6, 4], 7.0));
        let none = hidden.narrow(0, 0, 0).unwrap();
        assert_eq!(logprobs(&none, &head, &[]).unwrap().dims(), [0]);
    }

    #[test]
    fn a_token_too_few_is_refused() {
        let (hidden, head) = (var(&[2, 4], 0.3), var(&[6, 4], 7.0));
        let error = logprobs(&hidden, &head, &[1]).unwrap_err().to_string();
        assert!(error.contains("2 hidden rows for 1"), "{error}");
    }

    #[test]
    fn sums_are_by_sequence_and_so_are_their_gradients() {
        let values = Var::new(&[1f32, 2.0, 4.0, 8.0], &Device::Cpu).unwrap();
        let sums = sums(&values, &[1, 3]).unwrap();
        assert_eq!(sums.to_vec1::<f32>().unwrap(), [1.0, 14.0]);
        let weights = Tensor::new(&[3f32, 5.0], &Device::Cpu).unwrap();
        let loss = (sums * weights).unwrap().sum_all().unwrap();
        let gradient = loss
            .backward()
            .unwrap()
            .get(&values)
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert_eq!(gradient, [3.0, 5.0, 5.0, 5.0]);
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let values = Var::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        assert!(sums(&values, &[1, 2]).is_err());
    }
}
