//! All rewards of a rollout and their sum.

use std::collections::BTreeMap;

use super::alpha::Alpha;
use super::format::Format;
use super::labels::LabelIsRight;
use super::rouge::RougeF;
use super::settings::RewardSettings;
use super::task::TaskScore;
use super::{Judged, Reward, named};
use crate::data::Task;
use crate::{BoxError, Error};

/// Names of the rewards that are there without being asked for.
const BUILT_IN: [&str; 5] = ["format", "rouge", "visual", "textual", "task"];

/// What rollouts are rewarded for in one run.
pub struct Rewards {
    alpha: Alpha,
    visual_weight: f64,
    textual_weight: f64,
    extra: Vec<(Box<dyn Reward>, f64)>,
}

/// The reward of one rollout and what it is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Total {
    /// Each score by name, before its weight.
    pub parts: BTreeMap<String, f32>,
    /// The weight of `rouge`, where there is one.
    pub alpha: Option<f32>,
    /// The weighted sum.
    pub reward: f32,
}

impl Rewards {
    /// As the settings say. `injected` are the rewards of its endpoints, in any order, each with the
    /// endpoint's name. Error: a name that is unknown, taken twice or without its reward; a weight
    /// that is no number.
    pub fn new(
        settings: &RewardSettings,
        mut injected: Vec<Box<dyn Reward>>,
    ) -> Result<Self, Error> {
        let weights = [
            ("reward.visual_weight", settings.visual_weight),
            ("reward.textual_weight", settings.textual_weight),
        ];
        let extra = settings
            .extra
            .iter()
            .map(|e| ("reward.extra.weight", e.weight));
        let http = settings
            .http
            .iter()
            .map(|e| ("reward.http.weight", e.weight));
        for (key, weight) in weights.into_iter().chain(extra).chain(http) {
            if !weight.is_finite() {
                return Err(refused(key, &weight.to_string(), "write a number"));
            }
        }
        let mut rewards: Vec<(Box<dyn Reward>, f64)> = Vec::new();
        for extra in &settings.extra {
            let reward = named(&extra.name).ok_or_else(|| {
                refused(
                    "reward.extra.name",
                    &extra.name,
                    "the only such reward is `length`",
                )
            })?;
            rewards.push((reward, extra.weight));
        }
        for endpoint in &settings.http {
            let place = injected
                .iter()
                .position(|reward| reward.name() == endpoint.name);
            let place = place.ok_or_else(|| {
                refused(
                    "reward.http.name",
                    &endpoint.name,
                    "nothing here calls this endpoint",
                )
            })?;
            rewards.push((injected.swap_remove(place), endpoint.weight));
        }
        let mut names = BUILT_IN.to_vec();
        for (reward, _) in &rewards {
            if names.contains(&reward.name()) {
                let remedy =
                    "another reward has this name: write each once, and call endpoints differently";
                return Err(refused("reward.*.name", reward.name(), remedy));
            }
            names.push(reward.name());
        }
        Ok(Self {
            alpha: settings.alpha,
            visual_weight: settings.visual_weight,
            textual_weight: settings.textual_weight,
            extra: rewards,
        })
    }

    /// `format + α·rouge + γv·visual + γt·textual` for safety, `format + task` for other tasks, plus
    /// what was added. Labels that nothing depends on are not asked for. Error: names the reward and the
    /// sample.
    pub fn total(&self, rollout: &Judged<'_>) -> Result<Total, Error> {
        let mut sum = Sum {
            rollout,
            parts: BTreeMap::new(),
            reward: 0.0,
        };
        sum.add(&Format, 1.0)?;
        let mut alpha = None;
        if rollout.record.task == Task::Safety {
            let visual = self.label(&mut sum, LabelIsRight::Visual, self.visual_weight)?;
            let textual = self.label(&mut sum, LabelIsRight::Textual, self.textual_weight)?;
            let weight = self.alpha.of(visual, textual);
            sum.add(&RougeF, weight)?;
            alpha = Some(weight as f32);
        } else {
            sum.add(&TaskScore, 1.0)?;
        }
        for (reward, weight) in &self.extra {
            sum.add(&**reward, *weight)?;
        }
        Ok(Total {
            parts: sum.parts,
            alpha,
            reward: sum.reward as f32,
        })
    }

    fn label(&self, sum: &mut Sum<'_>, label: LabelIsRight, weight: f64) -> Result<f32, Error> {
        match self.alpha {
            Alpha::Fixed(_) if weight == 0.0 => Ok(0.0),
            Alpha::Fixed(_) | Alpha::Adaptive { .. } => sum.add(&label, weight),
        }
    }
}

/// So far.
struct Sum<'a> {
    rollout: &'a Judged<'a>,
    parts: BTreeMap<String, f32>,
    reward: f64,
}

impl Sum<'_> {
    fn add(&mut self, reward: &dyn Reward, weight: f64) -> Result<f32, Error> {
        let score = match reward.score(self.rollout) {
            Ok(score) if score.is_finite() => Ok(score),
            Ok(score) => Err(BoxError::from(format!("its score is {score}"))),
            Err(error) => Err(error),
        };
        let score = score.map_err(|source| Error::Reward {
            reward: reward.name().to_owned(),
            sample: self.rollout.record.id.clone(),
            source,
        })?;
        self.parts.insert(reward.name().to_owned(), score);
        self.reward += weight * f64::from(score);
        Ok(score)
    }
}

fn refused(key: &str, value: &str, remedy: &'static str) -> Error {
    Error::Recipe {
        line: None,
        key: key.to_owned(),
        value: value.to_owned(),
        remedy,
    }
}
