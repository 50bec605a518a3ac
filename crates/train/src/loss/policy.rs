//! The clipped policy gradient of GRPO and its relatives, token by token: GRPO (arXiv 2402.03300),
//! Dr. GRPO (2503.20783), DAPO (2503.14476).
//!
//! T tokens, C completions.

use candle_core::{DType, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use super::kl::Kl;

/// How the losses of tokens become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The mean over a completion's tokens, then over completions.
    #[default]
    Grpo,
    /// The sum over a completion's tokens by the longest length allowed, then the mean over
    /// completions: long ones weigh no less a token.
    DrGrpo,
    /// The mean over all tokens.
    Dapo,
}

/// What is minimised. The defaults are the paper's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// A ratio below 1 minus this earns nothing more.
    pub clip_low: f64,
    /// A ratio above 1 plus this earns nothing more; larger than `clip_low` is DAPO's "clip higher".
    pub clip_high: f64,
    /// Weight of the distance to the reference; 0 leaves it out.
    pub beta: f64,
    /// How that distance is estimated.
    pub kl: Kl,
    /// How tokens are weighed.
    pub aggregation: Aggregation,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            clip_low: 0.2,
            clip_high: 0.2,
            beta: 0.04,
            kl: Kl::K3,
            aggregation: Aggregation::Grpo,
        }
    }
}

/// The completions of a micro-batch, one behind the other. Up to and including the first end of text.
#[derive(Clone, Copy, Debug)]
pub struct Completions<'a> {
    /// Log-probabilities under the policy, `[T]`, with gradients.
    pub policy: &'a Tensor,
    /// The same under the policy that wrote them, `[T]`; absent if it is this one.
    pub old: Option<&'a Tensor>,
    /// The same under the reference, `[T]`.
    pub reference: Option<&'a Tensor>,
    /// Tokens of each completion; T in all.
    pub lengths: &'a [usize],
    /// Of each completion.
    pub advantages: &'a [f32],
}

/// Counts over the whole optimizer step: what is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divisors {
    /// Completions.
    pub completions: usize,
    /// Tokens of all completions.
    pub tokens: usize,
    /// The most tokens that a completion may have.
    pub max_length: usize,
}

/// The loss of a micro-batch, and sums that add up over micro-batches.
#[derive(Debug)]
pub struct Policy {
    /// A scalar in f32.
    pub loss: Tensor,
    /// Tokens in all.
    pub tokens: usize,
    /// Tokens whose ratio was clipped, so that their gradient is 0 but for the reference's.
    pub clipped: usize,
    /// Sum over tokens of the distance to the reference; 0 without one.
    pub kl: f64,
}

/// Per token `−(min(ratio·A, clip(ratio)·A) − β·KL)`, weighed as [`Aggregation`] says.
pub fn policy(
    completions: &Completions<'_>,
    settings: &PolicySettings,
    divisors: Divisors,
) -> Result<Policy> {
    let t = check(completions, settings)?;
    let policy = completions.policy;
    let spread = Spread::new(completions, settings.aggregation, divisors)?;
    let old = completions
        .old
        .map_or_else(|| policy.detach(), Tensor::detach);
    let log_ratio = (policy - old)?;

    // By values alone, so that a clipped token is a constant: a ratio too large for f32 has no slope.
    let ratio = log_ratio.detach().exp()?;
    let within = ratio.clamp(1.0 - settings.clip_low, 1.0 + settings.clip_high)?;
    let bound = (within * &spread.advantages)?;
    // Not the other way round: a NaN must come through.
    let clipped = bound.lt(&(ratio * &spread.advantages)?)?;
    let log_ratio = clipped.where_cond(&log_ratio.zeros_like()?, &log_ratio)?;
    let free = (log_ratio.exp()? * &spread.advantages)?;
    let mut losses = clipped.where_cond(&bound, &free)?.neg()?;

    let mut kl = 0.0;
    if let Some(reference) = completions.reference {
        let distance = settings.kl.of(policy, &reference.detach())?;
        let values = distance.detach().to_dtype(DType::F64)?;
        kl = values.sum_all()?.to_scalar::<f64>()?;
        if settings.beta != 0.0 {
            losses = (losses + (distance * settings.beta)?)?;
        }
    }
    let clipped = clipped.to_dtype(DType::U32)?.sum_all()?;
    Ok(Policy {
        loss: (losses * spread.weights)?.sum_all()?,
        tokens: t,
        clipped: clipped.to_scalar::<u32>()? as usize,
        kl,
    })
}

/// What belongs to a completion, at each of its tokens: `[T]`.
struct Spread {
    advantages: Tensor,
    weights: Tensor,
}

impl Spread {
    fn new(
        completions: &Completions<'_>,
        aggregation: Aggregation,
        divisors: Divisors,
    ) -> Result<Self> {
        let mut advantages = Vec::new();
        let mut weights = Vec::new();
        let count = divisors.completions as f64;
        for (&length, &advantage) in completions.lengths.iter().zip(completions.advantages) {
            let divisor = match aggregation {
                Aggregation::Grpo => length as f64 * count,
                Aggregation::DrGrpo => divisors.max_length as f64 * count,
                Aggregation::Dapo => divisors.tokens as f64,
            };
            advantages.extend(std::iter::repeat_n(advantage, length));
            weights.extend(std::iter::repeat_n((1.0 / divisor) as f32, length));
        }
        let device = completions.policy.device();
        Ok(Self {
            advantages: Tensor::new(advantages, device)?,
            weights: Tensor::new(weights, device)?,
        })
    }
}

/// T.
fn check(completions: &Completions<'_>, settings: &PolicySettings) -> Result<usize> {
    let t = completions.policy.dims1()?;
    let tokens: usize = completions.lengths.iter().sum();
    let (c, advantages) = (completions.lengths.len(), completions.advantages.len());
    if tokens != t || advantages != c {
        bail!(
            "{t} log-probabilities and {advantages} advantages for {c} completions of {tokens} tokens"
        );
    }
    if settings.beta != 0.0 && completions.reference.is_none() {
        bail!(
            "beta is {} without a reference: set it to 0, or give the reference's log-probabilities",
            settings.beta
        );
    }
    Ok(t)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    const ONE: Divisors = Divisors {
        completions: 1,
        tokens: 1,
        max_length: 1,
    };

    fn no_reference() -> PolicySettings {
        PolicySettings {
            beta: 0.0,
            ..PolicySettings::default()
        }
    }

    /// One token: loss, slope, clipped tokens.
    fn token(log_ratio: f32, advantage: f32) -> (f32, f32, usize) {
        let new = Var::new(&[log_ratio - 1.0], &Device::Cpu).unwrap();
        let old = Tensor::new(&[-1f32], &Device::Cpu).unwrap();
        let completions = Completions {
            policy: &new,
            old: Some(&old),
            reference: None,
            lengths: &[1],
            advantages: &[advantage],
        };
        let found = policy(&completions, &no_reference(), ONE).unwrap();
        let gradients = found.loss.backward().unwrap();
        let slope = gradients.get(&new).unwrap().to_vec1::<f32>().unwrap()[0];
        (found.loss.to_scalar().unwrap(), slope, found.clipped)
    }

    #[test]
    fn the_first_update_has_the_plain_policy_gradient() {
        assert_eq!(token(0.0, 2.0), (-2.0, -2.0, 0));
    }

    #[test]
    fn a_good_token_made_likelier_already_has_no_slope() {
        assert_eq!(token(1.0, 2.0), (-2.0 * 1.2, 0.0, 1));
    }

    #[test]
    fn a_bad_token_made_likelier_is_not_clipped() {
        let (_, slope, clipped) = token(1.0, -2.0);
        assert!(slope > 5.0 && clipped == 0);
    }

    #[test]
    fn a_ratio_beyond_f32_that_is_clipped_has_no_slope() {
        assert_eq!(token(1000.0, 1.0), (-1.2, 0.0, 1));
    }

    #[test]
    fn a_nan_is_a_nan() {
        assert!(token(f32::NAN, 1.0).0.is_nan());
    }

    #[test]
    fn without_old_log_probabilities_every_ratio_is_one() {
        let new = Var::new(&[-3f32, -0.5], &Device::Cpu).unwrap();
        let completions = Completions {
            policy: &new,
            old: None,
            reference: None,
            lengths: &[2],
            advantages: &[1.5],
        };
        let found = policy(&completions, &no_reference(), ONE).unwrap();
        assert_eq!(found.loss.to_scalar::<f32>().unwrap(), -1.5);
        let gradients = found.loss.backward().unwrap();
        let slope = gradients.get(&new).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(slope, [-0.75, -0.75]);
    }

    #[test]
    fn a_weight_for_the_distance_to_no_reference_is_refused() {
        let new = Var::new(&[-3f32], &Device::Cpu).unwrap();
        let completions = Completions {
            policy: &new,
            old: None,
            reference: None,
            lengths: &[1],
            advantages: &[1.0],
        };
        let error = policy(&completions, &PolicySettings::default(), ONE).unwrap_err();
        assert!(error.to_string().contains("beta is 0.04"), "{error}");
    }

    #[test]
    fn a_completion_without_an_advantage_is_refused() {
        let new = Var::new(&[-3f32], &Device::Cpu).unwrap();
        let completions = Completions {
            policy: &new,
            old: None,
            reference: None,
            lengths: &[1],
            advantages: &[],
        };
        assert!(policy(&completions, &no_reference(), ONE).is_err());
    }
}
