//! The numbers of a stage as curves over its steps, each with the others that it is read beside.

use std::collections::BTreeMap;

use super::Stage;
use crate::report::numbers::{mark, short};

/// Curves of one panel at most; more are drawn in a panel of their own.
const TOGETHER: usize = 6;

/// What is drawn in one frame.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) meaning: &'static str,
    pub(crate) unit: Unit,
    pub(crate) scale: Scale,
    pub(crate) series: Vec<Series>,
}

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// The name that it has in `events.jsonl`.
    pub(crate) name: String,
    pub(crate) label: String,
    /// Step and value, by rising step.
    pub(crate) points: Vec<(usize, f64)>,
}

/// What values are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Number,
    Share,
    Tokens,
    PerSecond,
}

impl Unit {
    /// What stands beside the title.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Share => "%",
            Self::Tokens => "tokens",
            Self::PerSecond => "tokens/s",
        }
    }

    /// A value in words.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:.1} %", value * 100.0),
            Self::Number | Self::Tokens | Self::PerSecond => short(value),
        }
    }

    /// A value on an axis whose marks are `step` apart.
    pub(crate) fn mark(self, value: f64, step: f64) -> String {
        match self {
            Self::Share => mark(value * 100.0, step * 100.0),
            _ => mark(value, step),
        }
    }
}

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Linear over all of 0 to 1.
    Whole,
    /// By ratios, where all values are positive and far apart.
    Log,
    /// Linear, and not smoothed: what a schedule says is exact.
    Exact,
}

/// Which curves belong together.
struct Rule {
    title: &'static str,
    meaning: &'static str,
    unit: Unit,
    scale: Scale,
    /// Names as in `events.jsonl`, and how the curve is called; `*` stands for the rest of a name.
    names: &'static [(&'static str, &'static str)],
}

const RULES: &[Rule] = &[
    Rule {
        title: "Reward",
        meaning: "mean over the rollouts of a step",
        unit: Unit::Number,
        scale: Scale::Linear,
        names: &[("reward", "reward")],
    },
    Rule {
        title: "Parts of the reward",
        meaning: "means over the rollouts, before weighting",
        unit: Unit::Number,
        scale: Scale::Linear,
        names: &[("reward.*", "*")],
    },
    Rule {
        title: "Loss",
        meaning: "before the step's change of the weights",
        unit: Unit::Number,
        scale: Scale::Linear,
        names: &[
            ("loss", "loss"),
            ("next_token", "next token"),
            ("atc.visual", "alarm, video"),
            ("atc.textual", "alarm, text"),
        ],
    },
    Rule {
        title: "Accuracy of the alarm heads",
        meaning: "on the samples of a step that have a label",
        unit: Unit::Share,
        scale: Scale::Whole,
        names: &[
            ("atc.accuracy.visual", "video"),
            ("atc.accuracy.textual", "text"),
        ],
    },
    Rule {
        title: "KL to the reference",
        meaning: "per token of the completions",
        unit: Unit::Number,
        scale: Scale::Linear,
        names: &[("kl", "KL")],
    },
    Rule {
        title: "Weight of the wording (α)",
        meaning: "mean over the rollouts",
        unit: Unit::Number,
        scale: Scale::Linear,
        names: &[("alpha", "α")],
    },
    Rule {
        title: "Length of the completions",
        meaning: "mean over the rollouts",
        unit: Unit::Tokens,
        scale: Scale::Linear,
        names: &[("length", "length")],
    },
    Rule {
        title: "Groups and rollouts that teach little",
        meaning: "groups whose rewards are all equal; rollouts cut off; ratios clipped",
        unit: Unit::Share,
        scale: Scale::Whole,
        names: &[
            ("zero_variance", "equal rewards"),
            ("truncated", "cut off"),
            ("clip_fraction", "clipped"),
        ],
    },
    Rule {
        title: "Preference margin",
        meaning: "implicit reward of the chosen answer above the rejected one",
        unit: Unit::Number,
        scale: Scale::Linear,
        names: &[("dpo.margin", "margin")],
    },
    Rule {
        title: "Preference accuracy",
        meaning: "pairs in which the chosen answer is ahead",
        unit: Unit::Share,
        scale: Scale::Whole,
        names: &[("dpo.accuracy", "accuracy")],
    },
    Rule {
        title: "Norm of the gradient",
        meaning: "before clipping",
        unit: Unit::Number,
        scale: Scale::Log,
        names: &[("grad_norm", "norm")],
    },
    Rule {
        title: "Learning rate",
        meaning: "of each group of parameters",
        unit: Unit::Number,
        scale: Scale::Exact,
        names: &[("learning_rate.*", "*")],
    },
    Rule {
        title: "Pace",
        meaning: "tokens read each second",
        unit: Unit::PerSecond,
        scale: Scale::Linear,
        names: &[("tokens_per_second", "pace")],
    },
];

/// The panels of a stage, in the order of reading; none of a stage without a step. Numbers that nobody
/// knows here are shown last, each by its own name.
pub(crate) fn panels(stage: &Stage) -> Vec<Panel> {
    let mut left = series(stage);
    let mut panels = Vec::new();
    for rule in RULES {
        let mut found = Vec::new();
        for (name, label) in rule.names {
            found.extend(take(&mut left, name, label));
        }
        panels.extend(split(rule, &found));
    }
    panels.extend(left.into_iter().map(|(name, points)| Panel {
        title: name.clone(),
        meaning: "",
        unit: Unit::Number,
        scale: Scale::Linear,
        series: vec![Series {
            label: name.clone(),
            name,
            points,
        }],
    }));
    panels
}

/// Every number of a stage by its name.
fn series(stage: &Stage) -> BTreeMap<String, Vec<(usize, f64)>> {
    let mut all = BTreeMap::<String, Vec<(usize, f64)>>::new();
    for step in &stage.steps {
        let mut add = |name: String, value: f64| {
            if value.is_finite() {
                all.entry(name).or_default().push((step.step, value));
            }
        };
        add("loss".to_owned(), f64::from(step.loss));
        add("grad_norm".to_owned(), step.grad_norm);
        if step.seconds > 0.0 {
            add(
                "tokens_per_second".to_owned(),
                step.tokens as f64 / step.seconds,
            );
        }
        for (group, rate) in &step.learning_rates {
            add(format!("learning_rate.{group}"), *rate);
        }
        for (name, value) in &step.parts {
            add(name.clone(), f64::from(*value));
        }
    }
    // What is minimised is the next token's loss alone: one curve says both.
    if all.get("next_token") == all.get("loss") {
        all.remove("next_token");
    }
    all
}

fn take(left: &mut BTreeMap<String, Vec<(usize, f64)>>, pattern: &str, label: &str) -> Vec<Series> {
    let names: Vec<String> = match pattern.strip_suffix('*') {
        None => vec![pattern.to_owned()],
        Some(prefix) => left
            .keys()
            .filter(|name| name.starts_with(prefix))
            .cloned()
            .collect(),
    };
    let start = pattern.trim_end_matches('*').len();
    names
        .into_iter()
        .filter_map(|name| {
            let points = left.remove(&name)?;
            let label = if label == "*" { &name[start..] } else { label };
            Some(Series {
                label: label.to_owned(),
                name,
                points,
            })
        })
        .collect()
}

fn split(rule: &Rule, series: &[Series]) -> Vec<Panel> {
    let count = series.len().div_ceil(TOGETHER);
    let chunks = series.chunks(TOGETHER).enumerate();
    let panel = |(index, series): (usize, &[Series])| Panel {
        title: if count > 1 {
            format!("{}, {} of {count}", rule.title, index + 1)
        } else {
            rule.title.to_owned()
        },
        meaning: rule.meaning,
        unit: rule.unit,
        scale: rule.scale,
        series: series.to_vec(),
    };
    chunks.map(panel).collect()
}

impl Series {
    /// Means over about a twentieth of the steps at the beginning and at the end; nothing of no steps.
    pub(crate) fn ends(&self) -> Option<(f64, f64)> {
        let many = self.points.len().div_ceil(20);
        let mean = |points: &[(usize, f64)]| {
            points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64
        };
        (many > 0).then(|| {
            (
                mean(&self.points[..many]),
                mean(&self.points[self.points.len() - many..]),
            )
        })
    }
}

/// Means over `half` values on either side: over fewer at the beginning, where a curve is steep and the mean
/// of one side would move it; over those before at the end, so that the last of them is no single value.
pub(crate) fn smoothed(values: &[f64], half: usize) -> Vec<f64> {
    let mut sums = Vec::with_capacity(values.len() + 1);
    sums.push(0.0);
    for value in values {
        sums.push(sums[sums.len() - 1] + value);
    }
    (0..values.len())
        .map(|i| {
            let half = half.min(i);
            let (from, to) = (i - half, (i + half + 1).min(values.len()));
            (sums[to] - sums[from]) / (to - from) as f64
        })
        .collect()
}

/// Steps on either side over which a curve of so many is smoothed.
pub(crate) fn half_window(points: usize) -> usize {
    if points < 20 { 0 } else { points.div_ceil(50) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::training::{stage::stages, world};

    #[test]
    fn panels_of_a_policy_stage_hold_all_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        world::policy(folder.path(), 30);
        let stage = stages(folder.path()).unwrap().remove(0);
        let panels = panels(&stage);
        let lines: Vec<String> = panels
            .iter()
            .map(|panel| {
                let labels: Vec<&str> = panel.series.iter().map(|s| s.label.as_str()).collect();
                format!("{}: {}", panel.title, labels.join(", "))
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_loss_of_one_part_is_drawn_once() {
        let folder = tempfile::tempdir().unwrap();
        world::supervised(folder.path(), 5);
        let panels = panels(&stages(folder.path()).unwrap()[0]);
        assert_eq!(panels[0].series.len(), 1);
        assert_eq!(panels[0].series[0].name, "loss");
    }

    #[test]
    fn smoothing_leaves_a_straight_line_and_averages_its_end() {
        let line: Vec<f64> = (0..10).map(f64::from).collect();
        let bent = smoothed(&line, 2);
        let wanted = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.5, 8.0];
        assert!(
            bent.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9),
            "{bent:?}"
        );
        assert!(smoothed(&[], 2).is_empty());
    }
}
