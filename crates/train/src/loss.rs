//! What is minimised, one loss a file. Each is divided by a count over the whole optimizer step, so
//! that the losses of micro-batches add up to the loss of one big batch.

pub mod atc;
mod cross_entropy;
pub mod dpo;
pub mod kl;
mod linear_softmax;
pub mod logprobs;
pub mod next_token;
pub mod policy;
mod softplus;

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor, Var};

    /// The same numbers in every run.
    pub(super) fn var(dims: &[usize], seed: f64) -> Var {
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|i| ((i as f64 + seed) * 12.9898).sin() as f32)
            .collect();
        Var::from_vec(values, dims, &Device::Cpu).unwrap()
    }

    #[track_caller]
    pub(super) fn close(found: &Tensor, want: &Tensor) {
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
}
