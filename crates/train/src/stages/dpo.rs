//! Direct preference optimisation (arXiv:2305.18290): of two answers to one prompt the chosen one
//! becomes likelier against the rejected one, held to a copy of the model as it was. The baseline that
//! the paper compares with.

use candle_core::Tensor;
use model::{Recompute, VideoLlama3};

use super::examples::Examples;
use super::prompt::{answer, prompt};
use crate::BoxError;
use crate::forward::{Example, features};
use crate::loss::dpo::{DpoSettings, Pairs, dpo};
use crate::loss::logprobs::{logprobs, sums};
use crate::pack::{Place, Row};
use crate::step::{Item, Loss, Micro, Objective};

/// The loss over preference pairs.
pub struct Preferences<'a> {
    /// That learns.
    pub model: &'a VideoLlama3,
    /// What it is held to.
    pub reference: Held<'a>,
    /// Two for each item: item `i` has its chosen answer at `i` and its rejected one at `n + i`.
    pub examples: &'a dyn Examples,
    /// What the loop knows of the `n` pairs.
    pub items: Vec<Item>,
    /// How.
    pub settings: DpoSettings,
    /// Whether blocks are computed again in the backward pass.
    pub recompute: bool,
}

/// What the likelihoods of the answers are compared with.
#[derive(Clone, Copy)]
pub enum Held<'a> {
    /// Those under another model.
    Model(&'a VideoLlama3),
    /// Log-probabilities that were measured before, of each item's chosen answer and its rejected one.
    Known(&'a [[f32; 2]]),
}

/// Chosen and rejected, each with its prompt in common.
struct Pair {
    prompt: Example,
    answers: [Vec<u32>; 2],
}

impl Objective for Preferences<'_> {
    fn items(&self) -> &[Item] {
        &self.items
    }

    fn ahead(&self, batches: &[Vec<usize>]) {
        let of_pair = |i: usize| [i, self.items.len() + i];
        let order: Vec<usize> = batches.iter().flatten().flat_map(|&i| of_pair(i)).collect();
        self.examples.ahead(&order);
    }

    fn loss(&self, batch: &[usize], micro: Micro) -> Result<Loss, BoxError> {
        let pairs = batch
            .iter()
            .map(|&i| self.pair(i))
            .collect::<Result<Vec<_>, _>>()?;
        let model = self.model.with_dropout(micro.seed);
        let recompute = self.recompute.then(Recompute::new);
        let [chosen, rejected] = summed(&model, &pairs, recompute.as_ref())?;
        let [reference_chosen, reference_rejected] = match self.reference {
            Held::Model(reference) => summed(reference, &pairs, None)?,
            Held::Known(known) => {
                let column = |side: usize| -> candle_core::Result<Tensor> {
                    let values: Vec<f32> = batch.iter().map(|&i| known[i][side]).collect();
                    Tensor::new(values, chosen.device())
                };
                [column(0)?, column(1)?]
            }
        };
        let count = micro.totals.samples as f64;
        let found = dpo(
            &Pairs {
                chosen: &chosen,
                rejected: &rejected,
                reference_chosen: &reference_chosen,
                reference_rejected: &reference_rejected,
            },
            &self.settings,
            count,
        )?;
        Ok(Loss {
            total: found.loss,
            parts: vec![
                ("dpo.margin", (found.margin / count) as f32),
                ("dpo.accuracy", (found.correct as f64 / count) as f32),
            ],
            recompute,
        })
    }
}

impl Preferences<'_> {
    fn pair(&self, index: usize) -> Result<Pair, BoxError> {
        let chosen = self.examples.example(index)?;
        let rejected = self.examples.example(self.items.len() + index)?;
        let id = &self.items[index].id;
        let cut = |example: &Example| {
            prompt(&example.sequence)
                .ok_or_else(|| format!("sample {id} has no prompt before its answer"))
        };
        let (asked, again) = (cut(&chosen)?, cut(&rejected)?);
        if asked.input_ids != again.input_ids {
            return Err(format!("the two answers of sample {id} follow different prompts").into());
        }
        Ok(Pair {
            answers: [answer(&chosen.sequence), answer(&rejected.sequence)],
            prompt: Example {
                id: id.clone(),
                sequence: asked,
                media: chosen.media.clone(),
            },
        })
    }
}

/// For each pair the log-probability of its chosen answer `[N]` and of its rejected one `[N]`.
fn summed(
    model: &VideoLlama3,
    pairs: &[Pair],
    recompute: Option<&Recompute>,
) -> Result<[Tensor; 2], BoxError> {
    let prompts: Vec<&Example> = pairs.iter().map(|pair| &pair.prompt).collect();
    let features = features(model, &prompts)?;
    let mut row = Row::default();
    let mut answers = [Answers::default(), Answers::default()];
    for (pair, features) in pairs.iter().zip(&features) {
        let asked = row.add(model.embed(&pair.prompt.sequence, features)?, None)?;
        for (answers, tokens) in answers.iter_mut().zip(&pair.answers) {
            answers.add(&mut row, model, asked, tokens)?;
        }
    }
    let hidden = row.hidden(model, recompute)?;
    let [chosen, rejected] = answers;
    Ok([chosen.sum(model, &hidden)?, rejected.sum(model, &hidden)?])
}

/// Answers in a row: which rows predict which tokens.
#[derive(Default)]
struct Answers {
    rows: Vec<u32>,
    tokens: Vec<u32>,
    /// Tokens of each answer.
    counts: Vec<usize>,
}

impl Answers {
    fn add(
        &mut self,
        row: &mut Row,
        model: &VideoLlama3,
        asked: Place,
        tokens: &[u32],
    ) -> Result<(), BoxError> {
        self.rows.extend(row.answer(model, asked, tokens)?);
        self.tokens.extend_from_slice(tokens);
        self.counts.push(tokens.len());
        Ok(())
    }

    fn sum(&self, model: &VideoLlama3, hidden: &Tensor) -> Result<Tensor, BoxError> {
        let rows = Tensor::new(self.rows.as_slice(), hidden.device())?;
        let each = logprobs(
            &hidden.index_select(&rows, 0)?,
            model.lm_head(),
            &self.tokens,
        )?;
        Ok(sums(&each, &self.counts)?)
    }
}
