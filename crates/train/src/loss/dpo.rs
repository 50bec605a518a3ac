//! Direct preference optimization (arXiv 2305.18290): the answer that people chose made likelier than
//! the one that they rejected, measured against a reference.
//!
//! N pairs.

use candle_core::{DType, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use super::softplus::softplus;

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpoSettings {
    /// How strongly the policy is held to the reference: larger is closer.
    pub beta: f64,
    /// Share of pairs that are expected to be labelled the wrong way round, below one half.
    pub label_smoothing: f64,
}

impl Default for DpoSettings {
    fn default() -> Self {
        Self {
            beta: 0.1,
            label_smoothing: 0.0,
        }
    }
}

/// Log-probabilities of whole answers, `[N]` each: sums over their tokens.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    /// Of the chosen answers under the policy, with gradients.
    pub chosen: &'a Tensor,
    /// Of the rejected answers under the policy, with gradients.
    pub rejected: &'a Tensor,
    /// Of the chosen answers under the reference.
    pub reference_chosen: &'a Tensor,
    /// Of the rejected answers under the reference.
    pub reference_rejected: &'a Tensor,
}

/// The loss of a micro-batch, and sums that add up over micro-batches.
#[derive(Debug)]
pub struct Dpo {
    /// A scalar in f32.
    pub loss: Tensor,
    /// N.
    pub pairs: usize,
    /// Sum over pairs of the implicit rewards' difference, `β · (chosen − rejected)`.
    pub margin: f64,
    /// Pairs whose chosen answer has the larger implicit reward.
    pub correct: usize,
}

/// The sum over pairs of `−(1 − s)·ln σ(m) − s·ln σ(−m)` with margin `m` and label smoothing `s`,
/// divided by `divisor`: the number of pairs of the whole optimizer step.
pub fn dpo(pairs: &Pairs<'_>, settings: &DpoSettings, divisor: f64) -> Result<Dpo> {
    let n = pairs.chosen.dims1()?;
    for other in [
        pairs.rejected,
        pairs.reference_chosen,
        pairs.reference_rejected,
    ] {
        if other.dims() != [n] {
            bail!(
                "{n} chosen answers, and {:?} of what belongs to them",
                other.dims()
            );
        }
    }
    let chosen = (pairs.chosen - pairs.reference_chosen.detach())?;
    let rejected = (pairs.rejected - pairs.reference_rejected.detach())?;
    let margin = ((chosen - rejected)? * settings.beta)?;
    let smoothing = settings.label_smoothing;
    let right = (softplus(&margin.neg()?)? * (1.0 - smoothing))?;
    let wrong = (softplus(&margin)? * smoothing)?;
    let values = margin.detach().to_dtype(DType::F64)?.to_vec1::<f64>()?;
    Ok(Dpo {
        loss: ((right + wrong)?.sum_all()? / divisor)?,
        pairs: n,
        margin: values.iter().sum(),
        correct: values.iter().filter(|&&margin| margin > 0.0).count(),
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_policy_that_is_its_reference_starts_at_ln_two_and_learns() {
        let chosen = Var::new(&[-7f32], &Device::Cpu).unwrap();
        let rejected = Var::new(&[-3f32], &Device::Cpu).unwrap();
        let pairs = Pairs {
            chosen: &chosen,
            rejected: &rejected,
            reference_chosen: &tensor(&[-7.0]),
            reference_rejected: &tensor(&[-3.0]),
        };
        let found = dpo(&pairs, &DpoSettings::default(), 1.0).unwrap();
        let loss = found.loss.to_scalar::<f32>().unwrap();
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-6, "{loss}");
        assert_eq!((found.margin, found.correct), (0.0, 0));
        let gradients = found.loss.backward().unwrap();
        let slope = |var: &Var| gradients.get(var).unwrap().to_vec1::<f32>().unwrap()[0];
        assert!((slope(&chosen) + 0.05).abs() < 1e-7 && (slope(&rejected) - 0.05).abs() < 1e-7);
    }

    #[test]
    fn margins_of_thousands_are_finite() {
        let pairs = Pairs {
            chosen: &tensor(&[0.0, -5e4]),
            rejected: &tensor(&[-5e4, 0.0]),
            reference_chosen: &tensor(&[0.0, 0.0]),
            reference_rejected: &tensor(&[0.0, 0.0]),
        };
        let found = dpo(&pairs, &DpoSettings::default(), 1.0).unwrap();
        assert_eq!(found.loss.to_scalar::<f32>().unwrap(), 5e3);
        assert_eq!(found.correct, 1);
    }

    #[test]
    fn a_rejected_answer_too_few_is_refused() {
        let pairs = Pairs {
            chosen: &tensor(&[0.0, 1.0]),
            rejected: &tensor(&[0.0]),
            reference_chosen: &tensor(&[0.0, 0.0]),
            reference_rejected: &tensor(&[0.0, 0.0]),
        };
        assert!(dpo(&pairs, &DpoSettings::default(), 1.0).is_err());
    }
}
