//! How far a policy is from its reference, token by token, estimated from the log-probabilities of
//! the sampled token (John Schulman, "Approximating KL divergence", 2020).

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// Differences of log-probabilities beyond this count as this in [`Kl::K3`], which is exponential in them.
const LARGEST: f64 = 10.0;

/// An estimator; with `x` the reference's log-probability minus the policy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kl {
    /// `−x`: no bias, much variance, also negative.
    K1,
    /// `x² / 2`: little variance, some bias.
    K2,
    /// `eˣ − x − 1` with `x` within ±10, as in GRPO: no bias, never negative.
    #[default]
    K3,
}

impl Kl {
    /// Of each token: `[T]` of `[T]` and `[T]`. Differentiable in both.
    pub fn of(self, policy: &Tensor, reference: &Tensor) -> Result<Tensor> {
        let x = (reference - policy)?;
        match self {
            Self::K1 => x.neg(),
            Self::K2 => x.sqr()? / 2.0,
            Self::K3 => {
                let x = within(&x, LARGEST)?;
                (x.exp()? - x)? - 1.0
            }
        }
    }
}

/// Beyond the limit a constant; a NaN stays one.
fn within(x: &Tensor, limit: f64) -> Result<Tensor> {
    let values = x.detach();
    let beyond = values.abs()?.gt(limit)?;
    beyond.where_cond(&values.clamp(-limit, limit)?, x)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[track_caller]
    fn check(kl: Kl, x: f32, want: f32, slope: f32) {
        let policy = Var::new(&[-x], &Device::Cpu).unwrap();
        let reference = Tensor::new(&[0f32], &Device::Cpu).unwrap();
        let value = kl.of(&policy, &reference).unwrap();
        let gradients = value.backward().unwrap();
        let found = gradients.get(&policy).unwrap().to_vec1::<f32>().unwrap()[0];
        let value = value.to_vec1::<f32>().unwrap()[0];
        assert!(
            (value - want).abs() <= 1e-5 * want.abs(),
            "{value}, not {want}"
        );
        assert!(
            (found - slope).abs() <= 1e-5 * slope.abs(),
            "slope {found}, not {slope}"
        );
    }

    #[test]
    fn equal_policies_are_at_no_distance() {
        for kl in [Kl::K2, Kl::K3] {
            check(kl, 0.0, 0.0, 0.0);
        }
    }

    #[test]
    fn the_slope_of_the_exponential_is_that_of_its_formula() {
        check(Kl::K3, 2.0, 2f32.exp() - 3.0, 1.0 - 2f32.exp());
    }

    #[test]
    fn a_far_reference_counts_as_one_at_ten_and_pulls_no_more() {
        check(Kl::K3, 50.0, 10f32.exp() - 11.0, 0.0);
        check(Kl::K3, -50.0, 9.0 + (-10f32).exp(), 0.0);
    }

    #[test]
    fn a_nan_is_a_nan() {
        let (policy, reference) = (
            Tensor::new(&[0f32], &Device::Cpu).unwrap(),
            Tensor::new(&[f32::NAN], &Device::Cpu).unwrap(),
        );
        for kl in [Kl::K1, Kl::K2, Kl::K3] {
            let value = kl.of(&policy, &reference).unwrap();
            assert!(value.to_vec1::<f32>().unwrap()[0].is_nan(), "{kl:?}");
        }
    }
}
