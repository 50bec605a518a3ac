//! Gradients by parameter name: taken from candle's tape, added in a fixed order, measured, clipped.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Storage, Tensor};

use crate::Parameters;

/// f32, contiguous, each of its parameter's shape. A parameter that the loss does not reach is absent.
#[derive(Clone, Debug, Default)]
pub struct Gradients(pub BTreeMap<String, Tensor>);

impl Gradients {
    /// Those of `parameters`, out of what `Tensor::backward` gave.
    pub fn take(store: &mut GradStore, parameters: &Parameters) -> candle_core::Result<Self> {
        let mut taken = BTreeMap::new();
        for (name, parameter) in parameters {
            if let Some(gradient) = store.remove(parameter) {
                taken.insert(name.clone(), gradient.to_dtype(DType::F32)?.contiguous()?);
            }
        }
        Ok(Self(taken))
    }

    /// Adds another micro-batch. Floating-point sums depend on their order: the caller keeps it fixed.
    pub fn add(&mut self, other: Self) -> candle_core::Result<()> {
        for (name, gradient) in other.0 {
            let sum = match self.0.remove(&name) {
                Some(sum) => (sum + gradient)?,
                None => gradient,
            };
            self.0.insert(name, sum);
        }
        Ok(())
    }

    /// The Euclidean norm over all elements of all gradients, summed in f64.
    pub fn norm(&self) -> candle_core::Result<f64> {
        let mut sum = 0.0;
        for gradient in self.0.values() {
            sum += sum_of_squares(gradient)?;
        }
        Ok(sum.sqrt())
    }

    /// The first parameter by name whose gradient holds a NaN or an infinity.
    pub fn first_non_finite(&self) -> candle_core::Result<Option<&str>> {
        for (name, gradient) in &self.0 {
            if !sum_of_squares(gradient)?.is_finite() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// What to multiply gradients of this norm by so that their norm is at most `max_norm`: PyTorch's
/// `clip_grad_norm_`, `min(1, max_norm / (norm + 1e-6))`.
pub fn clip_coefficient(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

fn sum_of_squares(tensor: &Tensor) -> candle_core::Result<f64> {
    let (storage, layout) = tensor.storage_and_layout();
    if let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
        (&*storage, layout.contiguous_offsets())
    {
        return Ok(slice_sum_of_squares(&values[start..end]));
    }
    drop(storage);
    let sum = tensor.to_dtype(DType::F32)?.sqr()?.sum_all()?;
    Ok(f64::from(sum.to_scalar::<f32>()?))
}

/// Eight running sums: independent of each other, so that the processor overlaps them.
fn slice_sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let mut chunks = values.chunks_exact(8);
    for chunk in &mut chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    let rest: f64 = chunks
        .remainder()
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn gradients(values: &[(&str, &[f32])]) -> Gradients {
        let tensors = values.iter().map(|(name, values)| {
            (
                (*name).to_owned(),
                Tensor::new(*values, &Device::Cpu).unwrap(),
            )
        });
        Gradients(tensors.collect())
    }

    #[test]
    fn the_norm_is_over_all_parameters() {
        let norm = gradients(&[("a", &[3.0]), ("b", &[0.0, 4.0])])
            .norm()
            .unwrap();
        assert_eq!(norm, 5.0);
    }

    #[test]
    fn a_long_gradient_counts_every_element() {
        let norm = gradients(&[("a", &[1.0; 19])]).norm().unwrap();
        assert_eq!(norm, 19f64.sqrt());
    }

    #[test]
    fn a_small_gradient_is_not_scaled_up() {
        assert_eq!(clip_coefficient(0.5, 1.0), 1.0);
    }

    #[test]
    fn the_parameter_with_the_nan_is_named() {
        let gradients = gradients(&[("a", &[1.0]), ("b", &[0.0, f32::NAN])]);
        assert_eq!(gradients.first_non_finite().unwrap(), Some("b"));
    }

    #[test]
    fn parameters_of_only_one_micro_batch_are_kept() {
        let mut sum = gradients(&[("a", &[1.0])]);
        sum.add(gradients(&[("a", &[2.0]), ("b", &[5.0])])).unwrap();
        assert_eq!(sum.0["a"].to_vec1::<f32>().unwrap(), [3.0]);
        assert_eq!(sum.0["b"].to_vec1::<f32>().unwrap(), [5.0]);
    }
}
