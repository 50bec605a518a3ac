//! The loss over groups of completions. A prompt is read once for all its completions.
//!
//! N tokens of all completions, S of a row, E width.

use candle_core::Tensor;
use model::{Recompute, VideoLlama3};

use super::Policy;
use super::draw::Group;
use crate::BoxError;
use crate::forward::{Example, features};
use crate::loss::logprobs;
use crate::loss::policy::{Completions, Divisors, policy};
use crate::order::Size;
use crate::pack::Row;
use crate::step::{Item, Loss, Micro, Objective};

/// The groups of one round as something to minimise.
pub struct Learn<'a> {
    policy: &'a Policy<'a>,
    groups: Vec<Group>,
    items: Vec<Item>,
    /// Over all groups.
    divisors: Divisors,
}

impl<'a> Learn<'a> {
    /// The loss over these groups; those of a micro-batch are named by their places here. Of `policy` it
    /// takes the model, the settings and the ids of the items.
    pub fn new(policy: &'a Policy<'a>, groups: Vec<Group>) -> Self {
        let items = groups
            .iter()
            .map(|group| Item {
                id: policy.items[group.item].id.clone(),
                size: Size {
                    tokens: group.prompt.sequence.input_ids.len() + group.tokens(),
                    patches: 0,
                },
                targets: group.tokens(),
                ..Item::default()
            })
            .collect();
        let divisors = Divisors {
            completions: groups.iter().map(|group| group.completions.len()).sum(),
            tokens: groups.iter().map(Group::tokens).sum(),
            max_length: policy.settings.max_tokens,
        };
        Self {
            policy,
            groups,
            items,
            divisors,
        }
    }
}

impl Objective for Learn<'_> {
    fn items(&self) -> &[Item] {
        &self.items
    }

    fn loss(&self, batch: &[usize], micro: Micro) -> Result<Loss, BoxError> {
        let settings = self.policy.settings;
        let groups: Vec<&Group> = batch.iter().map(|&i| &self.groups[i]).collect();
        let model = self.policy.model.with_dropout(micro.seed);
        let recompute = self.policy.recompute.then(Recompute::new);
        let new = logprobs(&model, &groups, recompute.as_ref())?; // [N]
        let joined = |of: fn(&Group) -> Option<&Tensor>| -> Result<Option<Tensor>, BoxError> {
            let parts: Option<Vec<&Tensor>> = groups.iter().map(|group| of(group)).collect();
            Ok(parts.map(|parts| Tensor::cat(&parts, 0)).transpose()?)
        };
        let old = joined(|group| group.old.as_ref())?;
        let reference = joined(|group| group.reference.as_ref())?;
        let completions = groups.iter().flat_map(|group| &group.completions);
        let lengths: Vec<usize> = completions.map(Vec::len).collect();
        let advantages: Vec<f32> = groups
            .iter()
            .flat_map(|group| &group.advantages)
            .copied()
            .collect();
        let found = policy(
            &Completions {
                policy: &new,
                old: old.as_ref(),
                reference: reference.as_ref(),
                lengths: &lengths,
                advantages: &advantages,
            },
            &settings.policy(),
            self.divisors,
        )?;
        let tokens = self.divisors.tokens as f32;
        Ok(Loss {
            total: found.loss,
            parts: vec![
                ("kl", found.kl as f32 / tokens),
                ("clip_fraction", found.clipped as f32 / tokens),
            ],
            recompute,
        })
    }
}

/// Log-probabilities `[N]` of the tokens of all completions of `groups`, in their order.
pub(super) fn logprobs(
    model: &VideoLlama3,
    groups: &[&Group],
    recompute: Option<&Recompute>,
) -> Result<Tensor, BoxError> {
    let prompts: Vec<&Example> = groups.iter().map(|group| &group.prompt).collect();
    let features = features(model, &prompts)?;
    let mut row = Row::default();
    let mut rows: Vec<u32> = Vec::new();
    let mut tokens: Vec<u32> = Vec::new();
    for (group, features) in groups.iter().zip(&features) {
        let asked = row.add(model.embed(&group.prompt.sequence, features)?, None)?;
        for completion in &group.completions {
            rows.extend(row.answer(model, asked, completion)?);
            tokens.extend_from_slice(completion);
        }
    }
    let hidden = row.hidden(model, recompute)?; // [S, E]
    let rows = Tensor::new(rows.as_slice(), hidden.device())?;
    let chosen = hidden.index_select(&rows, 0)?; // [N, E]
    Ok(logprobs::logprobs(&chosen, model.lm_head(), &tokens)?)
}
