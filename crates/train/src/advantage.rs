//! How much better each of a prompt's rollouts is than the others.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Added to the standard deviation, as in the reference (TRL and the official code).
const EPSILON: f64 = 1e-4;

/// What the difference from the mean is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The group's standard deviation, with n − 1 (GRPO, arXiv 2402.03300).
    #[default]
    Deviation,
    /// Nothing: easy and hard prompts keep their weight (Dr. GRPO, arXiv 2503.20783).
    None,
}

/// `(r − mean) / (std + 1e-4)` of each reward of one group, or `r − mean`. All 0 in a group of equal
/// rewards. Error: fewer than two rollouts, which have nothing to be compared with.
pub fn advantages(rewards: &[f32], scale: Scale) -> Result<Vec<f32>, Error> {
    let n = rewards.len();
    if n < 2 {
        return Err(Error::SmallGroup { rollouts: n });
    }
    let differences = || {
        let mean = rewards.iter().copied().map(f64::from).sum::<f64>() / n as f64;
        rewards.iter().map(move |&reward| f64::from(reward) - mean)
    };
    let divisor = match scale {
        Scale::Deviation => {
            let squares: f64 = differences().map(|x| x * x).sum();
            (squares / (n - 1) as f64).sqrt() + EPSILON
        }
        Scale::None => 1.0,
    };
    Ok(differences().map(|x| (x / divisor) as f32).collect())
}

/// Whether all rewards of a group are the same, so that nothing can be learnt from it.
pub fn has_zero_variance(rewards: &[f32]) -> bool {
    rewards.windows(2).all(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_of_one_is_refused() {
        let error = advantages(&[1.0], Scale::Deviation).unwrap_err();
        assert!(error.to_string().contains("group of 1"), "{error}");
    }

    #[test]
    fn equal_rewards_have_no_advantage() {
        let rewards = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1];
        assert!(has_zero_variance(&rewards));
        for scale in [Scale::Deviation, Scale::None] {
            assert_eq!(advantages(&rewards, scale).unwrap(), [0.0; 6]);
        }
    }

    #[test]
    fn one_better_rollout_is_variance() {
        assert!(!has_zero_variance(&[0.0, 0.0, 0.001]));
    }

    proptest! {
        #[test]
        fn advantages_of_a_group_cancel_out(rewards in prop::collection::vec(-3f32..3.0, 2..12)) {
            for scale in [Scale::Deviation, Scale::None] {
                let sum: f32 = advantages(&rewards, scale).unwrap().iter().sum();
                prop_assert!(sum.abs() < 1e-4, "{}", sum);
            }
        }

        #[test]
        fn the_best_rollout_has_the_largest_advantage(rewards in prop::collection::vec(-3f32..3.0, 2..12)) {
            let best = |values: &[f32]| values.iter().copied().fold(f32::MIN, f32::max);
            let found = advantages(&rewards, Scale::Deviation).unwrap();
            let i = rewards.iter().position(|&r| r == best(&rewards)).unwrap();
            prop_assert_eq!(found[i], best(&found));
        }
    }
}
