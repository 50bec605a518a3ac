//! Cross-entropy of a linear layer's softmax, summed over rows.
//!
//! The gradient is computed together with the value, a chunk of rows at a time, so that nothing of
//! width V waits on the tape and the logits are computed once.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::linear_softmax::{LinearSoftmax, Pass};

/// The sum over rows of `-log softmax(row · headᵀ)[token]`, times `scale`: a scalar with gradients for
/// both arguments. `hidden` is `[N, E]`, `head` is `[V, E]`, with a token for each row.
pub(super) fn cross_entropy(
    hidden: &Tensor,
    head: &Tensor,
    tokens: &[u32],
    scale: f64,
) -> Result<Tensor> {
    let rows = LinearSoftmax::new(hidden, head, tokens)?;
    if !rows.is_fast() {
        return rows.composed()?.sum_all()? * -scale;
    }
    let pass = rows.backward(&vec![scale as f32; tokens.len()])?;
    hidden.apply_op2(head, Known { pass, scale })
}

/// A scalar of two tensors whose gradients are known already.
struct Known {
    pass: Pass,
    scale: f64,
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
        let value = (self.pass.sum * self.scale) as f32;
        Ok((CpuStorage::F32(vec![value]), Shape::from(())))
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
        Ok((scaled(&self.pass.by_hidden)?, scaled(&self.pass.by_head)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::{close, var};

    const TOKENS: [u32; 7] = [1, 0, 5, 5, 2, 4, 3];

    #[test]
    fn the_fused_path_agrees_with_plain_operations_in_value_and_gradients() {
        let (hidden, head) = (var(&[7, 4], 0.3), var(&[6, 4], 7.0));
        let rows = LinearSoftmax::new(&hidden, &head, &TOKENS).unwrap();
        let fused = cross_entropy(&hidden, &head, &TOKENS, 1.0 / 3.0).unwrap();
        let plain = (rows.composed().unwrap().sum_all().unwrap() * (-1.0 / 3.0)).unwrap();
        close(&fused, &plain);
        // Twice the loss, so that the upstream gradient is not 1.
        let fused = (fused * 2.0).unwrap().backward().unwrap();
        let plain = (plain * 2.0).unwrap().backward().unwrap();
        for parameter in [&hidden, &head] {
            close(fused.get(parameter).unwrap(), plain.get(parameter).unwrap());
        }
    }

    #[test]
    fn several_chunks_agree_with_one() {
        let (hidden, head) = (var(&[7, 4], 0.3), var(&[6, 4], 7.0));
        let rows = |c| {
            let rows = LinearSoftmax::new(&hidden, &head, &TOKENS).unwrap();
            rows.with_rows_at_a_time(c)
        };
        let scales = [1.0, 0.5, -2.0, 0.0, 3.0, 1.0, 0.1];
        let one = rows(7).backward(&scales).unwrap();
        let many = rows(3).backward(&scales).unwrap();
        assert!((one.sum - many.sum).abs() < 1e-6);
        close(&one.by_hidden.unwrap(), &many.by_hidden.unwrap());
        close(&one.by_head.unwrap(), &many.by_head.unwrap());
        assert_eq!(rows(7).logprobs().unwrap(), rows(3).logprobs().unwrap());
    }

    #[test]
    fn a_frozen_head_gets_no_gradient() {
        let (hidden, head) = (var(&[2, 4], 0.3), var(&[6, 4], 7.0));
        let loss = cross_entropy(&hidden, &head.detach(), &[1, 2], 1.0).unwrap();
        let gradients = loss.backward().unwrap();
        assert!(gradients.get(&hidden).is_some() && gradients.get(&head).is_none());
    }
}
