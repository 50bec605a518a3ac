//! Group-relative policy optimisation: the model answers each prompt several times, each answer is
//! scored, and what was better than its group's mean becomes likelier (arXiv:2402.03300, section 4;
//! arXiv 2505.16643, section 4.3).
//!
//! In reading order: completions with their rewards and advantages (`draw`), and the loss over them
//! (`learn`).

mod draw;
mod learn;

use std::collections::BTreeMap;
use std::sync::Mutex;

use model::{Tokenizer, VideoLlama3};

pub use draw::Group;
pub use learn::Learn;

use super::examples::Examples;
use super::start::Replica;
use crate::Error;
use crate::Parameters;
use crate::data::Record;
use crate::error::Doing;
use crate::recipe::{Grpo, Reference, ZeroVariance};
use crate::reward::total::Rewards;
use crate::rollouts::Log;
use crate::rounds::{Asked, Round, Rounds};
use crate::step::Item;
use crate::tensorboard::Completion;
use draw::Draw;

/// A policy that learns from its own completions.
pub struct Policy<'a> {
    /// That learns.
    pub model: &'a VideoLlama3,
    /// The same weights without gradients: it draws the completions.
    pub behaviour: &'a VideoLlama3,
    /// What it is held to; nothing at a KL weight of 0.
    pub reference: Option<&'a Replica>,
    /// The variables of `model`, for a reference that is renewed.
    pub parameters: &'a Parameters,
    /// Words of completions, and what ends them.
    pub tokenizer: &'a Tokenizer,
    /// The records, their prompts ending where the answer begins.
    pub examples: &'a dyn Examples,
    /// What completions are judged by, one for each example.
    pub records: &'a [Record],
    /// What the loop knows of them.
    pub items: Vec<Item>,
    /// How.
    pub settings: &'a Grpo,
    /// What a completion is worth.
    pub rewards: &'a Rewards,
    /// Of all draws.
    pub seed: u64,
    /// Whether blocks are computed again in the backward pass.
    pub recompute: bool,
    /// Where every rollout is written down: the run's folder, and its file once the run has begun.
    pub log: Mutex<(std::path::PathBuf, Option<Log>)>,
}

impl Rounds for Policy<'_> {
    type Objective<'a>
        = Learn<'a>
    where
        Self: 'a;

    fn items(&self) -> &[Item] {
        &self.items
    }

    fn begin(&self, steps: usize) -> Result<(), Error> {
        let mut log = self.log.lock().expect("nothing panics while it writes");
        log.1 = Some(Log::resume(&log.0, steps)?);
        Ok(())
    }

    fn round<'a>(&'a self, asked: Asked<'_>) -> Result<Round<Learn<'a>>, Error> {
        let meant = asked.meant();
        let wanted: usize = meant.iter().map(Vec::len).sum();
        let (keep_all, most) = match self.settings.zero_variance {
            ZeroVariance::Keep => (true, meant.len()),
            ZeroVariance::Drop => (false, meant.len()),
            ZeroVariance::Resample(times) => (false, meant.len() * times.max(1)),
        };
        let mut drawn = Vec::new();
        let mut used = 0;
        let teaching = |groups: &[Group]| groups.iter().filter(|group| !group.is_flat()).count();
        while used < most.min(asked.batches.len()) && (used == 0 || teaching(&drawn) < wanted) {
            let end = (used + meant.len()).min(most).min(asked.batches.len());
            self.draw(&asked, &asked.batches[used..end], &mut drawn)?;
            used = end;
        }
        let measured = measure(&drawn);
        let shown = drawn
            .iter()
            .flat_map(|group| group.lines.first())
            .map(|line| Completion {
                prompt: line.prompt.clone(),
                text: line.text.clone(),
                reward: line.reward.into(),
            });
        let shown = shown.collect();
        let mut kept = drawn;
        kept.retain(|group| !group.completions.is_empty() && (keep_all || !group.is_flat()));
        kept.truncate(wanted);
        let micro = meant.iter().map(Vec::len).max().unwrap_or(1);
        let places: Vec<usize> = (0..kept.len()).collect();
        let batches: Vec<Vec<usize>> = places.chunks(micro).map(<[usize]>::to_vec).collect();
        let updates = match batches.is_empty() {
            true => Vec::new(),
            false => vec![batches; self.settings.updates],
        };
        Ok(Round {
            objective: Learn::new(self, kept),
            updates,
            used,
            measured,
            shown,
        })
    }

    fn after(&self, step: usize) -> Result<(), Error> {
        // A checkpoint on the disk implies the rollouts that led to it.
        if let Some(log) = &self.log.lock().expect("nothing panics while it writes").1 {
            log.sync()?;
        }
        let (Reference::Sync(every), Some(reference)) = (self.settings.reference, self.reference)
        else {
            return Ok(());
        };
        if step.is_multiple_of(every) {
            for (name, copy) in &reference.copies {
                copy.set(&self.parameters[name].as_detached_tensor())
                    .doing(format!("renewing the reference's `{name}`"))?;
            }
        }
        Ok(())
    }
}

impl Policy<'_> {
    /// Rollouts of the prompts of micro-batches, written down.
    fn draw(
        &self,
        asked: &Asked<'_>,
        batches: &[Vec<usize>],
        groups: &mut Vec<Group>,
    ) -> Result<(), Error> {
        self.examples.ahead(&batches.concat());
        let draw = Draw {
            policy: self,
            step: asked.step,
        };
        let make = |i: usize| draw.micro(&batches[i]);
        asked
            .workers
            .ordered(batches.len(), &make, &mut |i, result| {
                let new = result.map_err(|source| Error::Objective {
                    step: asked.step,
                    samples: batches[i]
                        .iter()
                        .map(|&item| self.items[item].id.clone())
                        .collect(),
                    source,
                })?;
                let mut log = self.log.lock().expect("nothing panics while it writes");
                if let Some(log) = &mut log.1 {
                    for group in &new {
                        log.write(&group.lines)?;
                    }
                }
                groups.extend(new);
                Ok(())
            })
    }
}

/// Means over all rollouts, and shares of them and of groups.
fn measure(groups: &[Group]) -> BTreeMap<String, f32> {
    let lines = || groups.iter().flat_map(|group| &group.lines);
    let count = lines().count().max(1) as f32;
    let mut sums: BTreeMap<String, f32> = BTreeMap::new();
    let mut parts: BTreeMap<String, (f32, f32)> = BTreeMap::new();
    for line in lines() {
        let truncated = line.finish == crate::rollouts::Finish::Length;
        for (name, value) in [
            ("reward", line.reward),
            ("length", line.tokens as f32),
            ("truncated", f32::from(u8::from(truncated))),
        ] {
            *sums.entry(name.to_owned()).or_default() += value / count;
        }
        let named = line
            .rewards
            .iter()
            .map(|(name, value)| (format!("reward.{name}"), *value));
        for (name, value) in named.chain(line.alpha.map(|alpha| ("alpha".to_owned(), alpha))) {
            let (sum, count) = parts.entry(name).or_default();
            *sum += value;
            *count += 1.0;
        }
    }
    // A part that not every task has is a mean over those that have it.
    sums.extend(
        parts
            .into_iter()
            .map(|(name, (sum, count))| (name, sum / count)),
    );
    let flat = groups.iter().filter(|group| group.is_flat()).count() as f32;
    sums.insert(
        "zero_variance".to_owned(),
        flat / groups.len().max(1) as f32,
    );
    sums
}
