//! How weights change in a run: order, batches, schedule, optimizer, who learns.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::groups::{GroupRule, Pattern, Rules};
use crate::optimizer::Adam;
use crate::order::Batch;
use crate::schedule::{Schedule, Shape};

/// How long a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// Passes over the data.
    Epochs(usize),
    /// Optimizer steps, over as many passes as they need.
    Steps(usize),
}

/// How long the learning rate rises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Warmup {
    /// Share of the run's steps, rounded up.
    Ratio(f64),
    /// Optimizer steps.
    Steps(usize),
}

/// How weights change in a run. The defaults are the paper's (stages 1 to 3), but for the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Of the data order.
    pub seed: u64,
    /// `{ epochs = 1 }` or `{ steps = 500 }`.
    pub length: Length,
    /// Of one micro-batch: `{ samples = 8 }`, `{ tokens = 8192, patches = 20480 }`.
    pub batch: Batch,
    /// Samples that are sorted by length at a time, so that a micro-batch's are alike; 1 does not sort.
    pub window: usize,
    /// Micro-batches of one optimizer step. They also are what several threads share.
    pub accumulation: usize,
    /// Of parameters in no group, at the top of the schedule.
    pub learning_rate: f64,
    /// What follows the warm-up: `"cosine"` to zero, or `"constant"`.
    pub schedule: Shape,
    /// `{ ratio = 0.03 }` or `{ steps = 100 }`.
    pub warmup: Warmup,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// AdamW's decay of the mean gradient.
    pub beta1: f64,
    /// AdamW's decay of the mean squared gradient.
    pub beta2: f64,
    /// AdamW's epsilon.
    pub epsilon: f64,
    /// Largest norm of the gradient; longer ones are scaled down to it.
    pub clip: f64,
    /// Optimizer steps between checkpoints; there is always one at the end.
    pub checkpoint_every: usize,
    /// Newest checkpoints that stay on disk.
    pub keep: usize,
    /// Parameters that do not learn, as names in which `*` stands for anything.
    pub frozen: Vec<Pattern>,
    /// Parameters that learn without weight decay.
    pub no_decay: Vec<Pattern>,
    /// Parameters with rates of their own.
    pub groups: Vec<GroupRule>,
}

impl Default for Training {
    fn default() -> Self {
        let adam = Adam::default();
        Self {
            seed: 0,
            length: Length::Epochs(1),
            batch: Batch::samples(8),
            window: 512,
            accumulation: 1,
            learning_rate: 1e-6,
            schedule: Shape::Cosine,
            warmup: Warmup::Ratio(0.03),
            weight_decay: 0.0,
            beta1: adam.beta1,
            beta2: adam.beta2,
            epsilon: adam.epsilon,
            clip: 1.0,
            checkpoint_every: 500,
            keep: 2,
            frozen: ["model.vision_model.*", "model.projector.*"]
                .map(|pattern| Pattern(pattern.into()))
                .into(),
            no_decay: vec![Pattern("*.bias".into()), Pattern("*norm*".into())],
            groups: Vec::new(),
        }
    }
}

impl Training {
    /// Reads and checks a recipe; what it does not say has its default.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let recipe: Self = toml::from_str(text).map_err(Error::RecipeSyntax)?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Refuses values that make no sense, each by its key and with a remedy.
    pub fn check(&self) -> Result<(), Error> {
        let rate = |rate: f64| rate.is_finite() && rate >= 0.0;
        let share = |share: f64| (0.0..1.0).contains(&share);
        let refuse = |key: &str, value: String, remedy| {
            Err(Error::Recipe {
                line: None,
                key: key.into(),
                value,
                remedy,
            })
        };
        if let Length::Epochs(0) | Length::Steps(0) = self.length {
            return refuse(
                "length",
                format!("{:?}", self.length),
                "write one epoch or step at least",
            );
        }
        let Batch {
            samples,
            tokens,
            patches,
        } = self.batch;
        let limits = [samples, tokens, patches];
        if limits.contains(&Some(0)) || limits == [None; 3] {
            return refuse(
                "batch",
                format!("{:?}", self.batch),
                "write a limit, one sample or token at least",
            );
        }
        for (key, value) in [
            ("accumulation", self.accumulation),
            ("checkpoint_every", self.checkpoint_every),
            ("keep", self.keep),
        ] {
            if value == 0 {
                return refuse(key, value.to_string(), "write 1 or more");
            }
        }
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
        ] {
            if !rate(value) {
                return refuse(key, value.to_string(), "write a finite number, 0 or more");
            }
        }
        for (key, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !share(value) {
                return refuse(
                    key,
                    value.to_string(),
                    "write a number from 0 up to, not including, 1",
                );
            }
        }
        for (key, value) in [("epsilon", self.epsilon), ("clip", self.clip)] {
            if !(rate(value) && value > 0.0) {
                return refuse(key, value.to_string(), "write a finite number above 0");
            }
        }
        if let Warmup::Ratio(ratio) = self.warmup
            && !share(ratio)
        {
            return refuse(
                "warmup.ratio",
                ratio.to_string(),
                "write a share from 0 up to, not including, 1",
            );
        }
        self.check_groups()
    }

    fn check_groups(&self) -> Result<(), Error> {
        for (i, group) in self.groups.iter().enumerate() {
            let refuse = |field: &str, value: String, remedy| {
                Err(Error::Recipe {
                    line: None,
                    key: format!("groups[{i}].{field}"),
                    value,
                    remedy,
                })
            };
            let taken = self.groups[..i]
                .iter()
                .any(|other| other.name == group.name);
            if group.name.is_empty() || group.name == crate::groups::DEFAULT_GROUP || taken {
                return refuse(
                    "name",
                    format!("`{}`", group.name),
                    "write a name of its own, other than `default`",
                );
            }
            if group.parameters.is_empty() {
                return refuse(
                    "parameters",
                    "empty".into(),
                    "write a pattern of names, for instance `lm_head.*`",
                );
            }
            let rates = [
                ("learning_rate", Some(group.learning_rate)),
                ("weight_decay", group.weight_decay),
            ];
            for (field, rate) in rates {
                if let Some(rate) = rate
                    && !(rate.is_finite() && rate >= 0.0)
                {
                    return refuse(field, rate.to_string(), "write a finite number, 0 or more");
                }
            }
        }
        Ok(())
    }

    /// Who learns, and how fast.
    pub fn rules(&self) -> Rules<'_> {
        Rules {
            frozen: &self.frozen,
            no_decay: &self.no_decay,
            groups: &self.groups,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
        }
    }

    /// The optimizer's numbers.
    pub fn adam(&self) -> Adam {
        Adam {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
        }
    }

    /// The learning rate's course over a run of `total` optimizer steps.
    pub fn schedule(&self, total: usize) -> Schedule {
        let warmup = match self.warmup {
            Warmup::Steps(steps) => steps,
            Warmup::Ratio(ratio) => (total as f64 * ratio).ceil() as usize,
        };
        Schedule {
            shape: self.schedule,
            warmup,
            total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, words: &[&str]) {
        let error = Training::from_toml(text).expect_err(text);
        let mut said = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            said += &format!(": {source}");
        }
        for word in words {
            assert!(said.contains(word), "{said:?} lacks {word:?}");
        }
    }

    #[test]
    fn an_empty_recipe_is_the_default_one() {
        assert_eq!(Training::from_toml("").unwrap(), Training::default());
    }

    #[test]
    fn a_recipe_survives_writing_and_reading() {
        let recipe = Training {
            length: Length::Steps(40),
            batch: Batch::tokens(4096),
            warmup: Warmup::Steps(3),
            groups: vec![GroupRule {
                name: "vision".into(),
                parameters: vec![Pattern("model.vision_model.*".into())],
                learning_rate: 1e-4,
                weight_decay: Some(0.1),
            }],
            ..Training::default()
        };
        let text = toml::to_string(&recipe).unwrap();
        assert_eq!(Training::from_toml(&text).unwrap(), recipe, "{text}");
    }

    #[test]
    fn an_unknown_key_is_named() {
        refused("learning_rat = 1.0", &["learning_rat"]);
    }

    #[test]
    fn no_steps_are_refused() {
        refused("length = { steps = 0 }", &["`length`", "at least"]);
    }

    #[test]
    fn an_empty_batch_is_refused() {
        refused("batch = { tokens = 0 }", &["`batch`"]);
    }

    #[test]
    fn a_negative_rate_is_refused() {
        refused("learning_rate = -1.0", &["`learning_rate`", "-1"]);
    }

    #[test]
    fn a_rate_that_is_not_a_number_is_refused() {
        refused("weight_decay = nan", &["`weight_decay`", "NaN"]);
    }

    #[test]
    fn a_clip_of_zero_is_refused() {
        refused("clip = 0.0", &["`clip`", "above 0"]);
    }

    #[test]
    fn a_warmup_longer_than_the_run_is_refused() {
        refused("warmup = { ratio = 1.5 }", &["`warmup.ratio`"]);
    }

    #[test]
    fn two_groups_of_one_name_are_refused() {
        let group = "[[groups]]\nname = 'a'\nparameters = ['x']\nlearning_rate = 1.0\n";
        refused(&group.repeat(2), &["`groups[1].name`", "`a`"]);
    }

    #[test]
    fn a_group_of_nothing_is_refused() {
        refused(
            "[[groups]]\nname = 'a'\nparameters = []\nlearning_rate = 1.0",
            &["`groups[0].parameters`"],
        );
    }

    #[test]
    fn warmup_by_ratio_rounds_up() {
        assert_eq!(Training::default().schedule(101).warmup, 4);
    }
}
