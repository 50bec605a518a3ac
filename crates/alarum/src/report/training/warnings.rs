//! What looks wrong in a stage, and what may help.

use super::Stage;
use crate::report::numbers::short;

/// Steps before a spike that it is measured against.
const BEFORE: usize = 20;
/// Median distances from the median that make a spike.
const SPIKE: f64 = 8.0;
/// Share of groups with equal rewards.
const EQUAL: f64 = 0.5;
/// Share of rollouts that are cut off.
const CUT: f64 = 0.2;
/// KL per token below which its rise is of no concern.
const SMALL_KL: f64 = 0.05;
/// Steps below which a course says nothing.
const FEW: usize = 8;

/// A sentence for each thing, without the stage's name.
pub(crate) fn warnings(stage: &Stage) -> Vec<String> {
    [
        spikes(stage),
        equal_rewards(stage),
        rising_kl(stage),
        cut_off(stage),
        falling_reward(stage),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Losses of more than three times those of the steps before them, and far outside of their spread. The loss of a policy says nothing by its size: stages
/// with rewards are left out.
fn spikes(stage: &Stage) -> Option<String> {
    if stage
        .steps
        .iter()
        .any(|step| step.parts.contains_key("reward"))
    {
        return None;
    }
    let losses: Vec<f64> = stage
        .steps
        .iter()
        .map(|step| f64::from(step.loss))
        .collect();
    let is_spike = |end: usize| {
        let before = &losses[end - BEFORE..end];
        let usual = median(before);
        let spread = median(
            &before
                .iter()
                .map(|loss| (loss - usual).abs())
                .collect::<Vec<_>>(),
        );
        let above = losses[end] - usual;
        (above > SPIKE * spread && above > 2.0 * usual.abs()).then_some((end, usual))
    };
    let found: Vec<(usize, f64)> = (BEFORE..losses.len()).filter_map(is_spike).collect();
    let highest = found
        .iter()
        .max_by(|a, b| losses[a.0].total_cmp(&losses[b.0]))?;
    let times = if found.len() == 1 {
        "once".to_owned()
    } else {
        format!("{} times", found.len())
    };
    Some(format!(
        "the loss jumped {times}, highest at step {}: {} where {} was usual. Look at the samples of that step, or \
         lower the learning rate or `clip`.",
        stage.steps[highest.0].step,
        short(losses[highest.0]),
        short(highest.1)
    ))
}

fn equal_rewards(stage: &Stage) -> Option<String> {
    let share = late(stage, "zero_variance").filter(|share| *share > EQUAL)?;
    Some(format!(
        "in the last quarter {:.0} % of groups had equal rewards and taught nothing. Sample more rollouts for each \
         prompt, raise the temperature, or leave such groups out.",
        share * 100.0
    ))
}

fn rising_kl(stage: &Stage) -> Option<String> {
    let values = values(stage, "kl");
    let quarter = values.len() / 4;
    if values.len() < FEW {
        return None;
    }
    let (early, late) = (mean(&values[quarter..2 * quarter])?, late(stage, "kl")?);
    (late > SMALL_KL && late > 2.0 * early).then(|| {
        format!(
            "the KL to the reference rose from {} to {} per token. Raise its weight or lower the learning rate.",
            short(early),
            short(late)
        )
    })
}

fn cut_off(stage: &Stage) -> Option<String> {
    let share = late(stage, "truncated").filter(|share| *share > CUT)?;
    Some(format!(
        "in the last quarter {:.0} % of rollouts were cut off by the length limit. Allow longer completions, or \
         reward shorter ones.",
        share * 100.0
    ))
}

/// Less reward at the end than at the beginning, beyond what one step differs from the next.
fn falling_reward(stage: &Stage) -> Option<String> {
    let values = values(stage, "reward");
    if values.len() < FEW {
        return None;
    }
    let (early, late) = (mean(&values[..values.len() / 4])?, late(stage, "reward")?);
    let jumps: Vec<f64> = values
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .collect();
    (early - late > median(&jumps)).then(|| {
        format!(
            "the mean reward fell from {} to {}. Lower the learning rate, or look at what is rewarded.",
            short(early),
            short(late)
        )
    })
}

/// The mean over the last quarter of the steps that have this number; nothing of too few.
fn late(stage: &Stage, part: &str) -> Option<f64> {
    let values = values(stage, part);
    if values.len() < FEW {
        return None;
    }
    mean(&values[values.len() - values.len() / 4..])
}

fn values(stage: &Stage, part: &str) -> Vec<f64> {
    let value = |step: &train::events::Step| step.parts.get(part).map(|value| f64::from(*value));
    stage.steps.iter().filter_map(value).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Of at least one value; the higher of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::training::world::stage;

    /// Warnings of 40 steps whose number `part` follows `course` over 0..1.
    #[track_caller]
    fn check(part: &str, course: fn(f64) -> f64, begins: &str) {
        let found = warnings(&stage(part, 40, course));
        match (begins, &found[..]) {
            ("", []) => {}
            (begins, [only]) if !begins.is_empty() && only.starts_with(begins) => {}
            _ => panic!("{found:?} where {begins:?} was expected"),
        }
    }

    #[test]
    fn a_loss_that_jumps_is_named_with_its_step() {
        let course = |at: f64| {
            if (0.79..0.81).contains(&at) {
                9.0
            } else {
                2.0 - at
            }
        };
        check(
            "loss",
            course,
            "the loss jumped once, highest at step 32: 9.00 where 1.",
        );
    }

    #[test]
    fn a_loss_that_falls_smoothly_is_fine() {
        check("loss", |at| 5.0 * (-4.0 * at).exp(), "");
    }

    #[test]
    fn groups_with_equal_rewards_are_named() {
        check(
            "zero_variance",
            |at| at,
            "in the last quarter 88 % of groups had equal rewards",
        );
        check("zero_variance", |at| 0.4 * at, "");
    }

    #[test]
    fn a_kl_that_rises_is_named() {
        check("kl", |at| at * at, "the KL to the reference rose from 0.1");
        check("kl", |at| 0.01 * at * at, "");
        check("kl", |_| 0.3, "");
    }

    #[test]
    fn rollouts_that_are_cut_off_are_named() {
        check(
            "truncated",
            |at| 0.5 * at,
            "in the last quarter 44 % of rollouts were cut off",
        );
        check("truncated", |_| 0.1, "");
    }

    #[test]
    fn a_reward_that_falls_is_named() {
        check("reward", |at| 3.0 - at, "the mean reward fell from 2.8");
        check("reward", |at| 2.0 + at, "");
    }

    #[test]
    fn a_few_steps_say_nothing() {
        assert_eq!(
            warnings(&stage("zero_variance", 5, |_| 1.0)),
            [] as [String; 0]
        );
    }
}
