//! Completions of a prompt, what each is worth, and how it stands against its group.

use candle_core::Tensor;
use model::VideoLlama3;
use model::generate::{Generated, Generation, Stop};
use model::rollout::Rollouts;
use model::sampling::Sampling;

use super::Policy;
use super::learn::logprobs;
use crate::BoxError;
use crate::advantage;
use crate::forward::{Example, features};
use crate::recipe::Overlong;
use crate::reward::Judged;
use crate::rollouts::{Finish, Rollout};
use crate::run::seed_of;

/// The rollouts of one prompt.
pub struct Group {
    /// Its place among the items.
    pub item: usize,
    /// What was asked.
    pub prompt: Example,
    /// Those that are learnt from, each with the end of its turn unless it was cut off.
    pub completions: Vec<Vec<u32>>,
    /// Of each of these, against the mean of all that were drawn.
    pub advantages: Vec<f32>,
    /// Log-probabilities of all completions' tokens, one after the other, under the policy that drew
    /// them; only where it changes before they are used up.
    pub old: Option<Tensor>,
    /// The same under the reference.
    pub reference: Option<Tensor>,
    /// As written down.
    pub lines: Vec<Rollout>,
}

impl Group {
    /// Tokens of all its completions.
    pub fn tokens(&self) -> usize {
        self.completions.iter().map(Vec::len).sum()
    }

    /// Whether it teaches nothing: no completion is better than another, or none is left.
    pub fn is_flat(&self) -> bool {
        self.completions.is_empty()
            || advantage::has_zero_variance(
                &self
                    .lines
                    .iter()
                    .map(|line| line.reward)
                    .collect::<Vec<_>>(),
            )
    }
}

/// The draws of one step.
pub(super) struct Draw<'a> {
    pub(super) policy: &'a Policy<'a>,
    pub(super) step: usize,
}

impl Draw<'_> {
    /// Groups of the prompts of one micro-batch.
    pub(super) fn micro(&self, batch: &[usize]) -> Result<Vec<Group>, BoxError> {
        let policy = self.policy;
        let prompts = batch
            .iter()
            .map(|&item| self.prompt(item))
            .collect::<Result<Vec<_>, _>>()?;
        let examples: Vec<&Example> = prompts.iter().collect();
        let features = features(policy.behaviour, &examples)?;
        let embeddings = examples
            .iter()
            .zip(&features)
            .map(|(example, features)| policy.behaviour.embed(&example.sequence, features))
            .collect::<model::Result<Vec<_>>>()?;
        let seeds: Vec<u64> = batch
            .iter()
            .map(|&item| seed_of(policy.seed, self.step, item))
            .collect();
        let settings = policy.settings;
        let generation = Generation {
            max_tokens: settings.max_tokens,
            sampling: Sampling {
                temperature: settings.temperature,
                top_k: settings.top_k,
                top_p: settings.top_p,
            },
            seed: 0,
            stop_tokens: policy.tokenizer.stop_tokens().to_vec(),
        };
        let drawn = policy.behaviour.rollouts(
            Rollouts {
                prompts: &embeddings,
                per_prompt: settings.group,
                seeds: &seeds,
            },
            &generation,
        )?;
        let mut groups = Vec::with_capacity(batch.len());
        for (((&item, prompt), seed), rows) in batch.iter().zip(prompts).zip(seeds).zip(drawn) {
            groups.push(self.group(Asked { item, prompt, seed }, rows)?);
        }
        if settings.updates > 1 {
            let all = by_group(policy.behaviour, &groups)?;
            for (group, old) in groups.iter_mut().zip(all) {
                group.old = Some(old);
            }
        }
        if let Some(reference) = policy.reference {
            let all = by_group(&reference.network, &groups)?;
            for (group, reference) in groups.iter_mut().zip(all) {
                group.reference = Some(reference);
            }
        }
        Ok(groups)
    }

    /// What is asked, without the answer.
    fn prompt(&self, item: usize) -> Result<Example, BoxError> {
        let example = self.policy.examples.example(item)?;
        let record = &self.policy.records[item];
        let sequence = example.sequence.clone();
        // A rollout that did not see its video would be rewarded for guessing.
        if record.medium().is_some() && sequence.vision.iter().flatten().next().is_none() {
            return Err(
                format!("the video of record {} did not reach the prompt", record.id).into(),
            );
        }
        Ok(Example {
            id: record.id.clone(),
            sequence,
            media: example.media.clone(),
        })
    }

    fn group(&self, asked: Asked, rows: Vec<Generated>) -> Result<Group, BoxError> {
        let settings = self.policy.settings;
        let mut lines = rows
            .iter()
            .enumerate()
            .map(|(index, row)| self.line(&asked, index, row))
            .collect::<Result<Vec<_>, _>>()?;
        let rewards: Vec<f32> = lines.iter().map(|line| line.reward).collect();
        let advantages = advantage::advantages(&rewards, settings.scale)?;
        for (line, advantage) in lines.iter_mut().zip(&advantages) {
            line.advantage = *advantage;
        }
        let masked = settings.overlong == Overlong::Mask;
        let learnt = lines
            .iter()
            .zip(rows)
            .filter(|(line, _)| !(masked && line.finish == Finish::Length));
        let (advantages, completions) = learnt
            .map(|(line, row)| (line.advantage, row.tokens))
            .unzip();
        Ok(Group {
            item: asked.item,
            prompt: asked.prompt,
            completions,
            advantages,
            old: None,
            reference: None,
            lines,
        })
    }

    /// One rollout with its rewards.
    fn line(&self, asked: &Asked, index: usize, row: &Generated) -> Result<Rollout, BoxError> {
        let finish = match row.stop {
            Stop::Token => Finish::Stop,
            Stop::Length | Stop::Caller => Finish::Length,
        };
        let text = self.policy.tokenizer.decode(&row.tokens)?;
        let record = &self.policy.records[asked.item];
        let scored = self.policy.rewards.total(&Judged {
            record,
            completion: &text,
            tokens: row.tokens.len(),
            max_tokens: self.policy.settings.max_tokens,
            stop: row.stop,
        })?;
        Ok(Rollout {
            step: self.step,
            prompt: record.id.clone(),
            index,
            seed: asked.seed,
            tokens: row.tokens.len(),
            finish,
            rewards: scored.parts,
            alpha: scored.alpha,
            reward: scored.reward,
            advantage: 0.0,
            text,
        })
    }
}

/// A prompt and the seed of its group.
struct Asked {
    item: usize,
    prompt: Example,
    seed: u64,
}

/// Log-probabilities of each group's tokens.
fn by_group(model: &VideoLlama3, groups: &[Group]) -> Result<Vec<Tensor>, BoxError> {
    let groups: Vec<&Group> = groups.iter().collect();
    let all = logprobs(model, &groups, None)?; // [N]
    let mut start = 0;
    let mut each = Vec::with_capacity(groups.len());
    for group in groups {
        each.push(all.narrow(0, start, group.tokens())?);
        start += group.tokens();
    }
    Ok(each)
}
