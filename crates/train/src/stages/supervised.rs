//! Supervised fine-tuning: the next token of the answers, and for the alarm heads whether video and
//! query are harmful. `L = L_base + λv·ATCv + λt·ATCt` (arXiv 2505.16643, eq. 3), the base loss a mean
//! over tokens, each ATC a mean over the samples with that label, both over a whole optimizer step.

use std::sync::Arc;

use candle_core::Tensor;
use model::alarm::Modality;
use model::{Recompute, VideoLlama3};

use super::examples::Examples;
use crate::BoxError;
use crate::forward::Example;
use crate::loss::atc::atc;
use crate::loss::next_token::{Targets, next_token};
use crate::pack::{self, Place};
use crate::recipe::Atc;
use crate::step::{Item, Loss, Micro, Objective};

/// The loss over examples.
pub struct Supervised<'a> {
    /// That learns.
    pub model: &'a VideoLlama3,
    /// One for each item.
    pub examples: &'a dyn Examples,
    /// What the loop knows of them.
    pub items: Vec<Item>,
    /// Weights of the heads' losses; the heads must be there.
    pub atc: Option<Atc>,
    /// Whether blocks are computed again in the backward pass.
    pub recompute: bool,
}

impl Objective for Supervised<'_> {
    fn items(&self) -> &[Item] {
        &self.items
    }

    fn ahead(&self, batches: &[Vec<usize>]) {
        self.examples.ahead(&batches.concat());
    }

    fn loss(&self, batch: &[usize], micro: Micro) -> Result<Loss, BoxError> {
        let examples = batch
            .iter()
            .map(|&i| self.examples.example(i))
            .collect::<Result<Vec<_>, _>>()?;
        let examples: Vec<&Example> = examples.iter().map(Arc::as_ref).collect();
        let model = self.model.with_dropout(micro.seed);
        let recompute = self.recompute.then(Recompute::new);
        let (hidden, places) = pack::hidden(&model, &examples, recompute.as_ref())?;
        let labels = examples.iter().zip(&places).filter_map(|(example, place)| {
            Some((place.start, example.sequence.labels.as_deref()?))
        });
        let targets = Targets::packed(labels);
        let divisor = micro.totals.targets as f64;
        let base = next_token(&hidden.unsqueeze(0)?, model.lm_head(), &targets, divisor)?;
        let mut loss = Loss {
            total: base,
            parts: Vec::new(),
            recompute,
        };
        if let Some(atc) = self.atc {
            loss.parts
                .push(("next_token", loss.total.to_scalar::<f32>()?));
            let heads = Heads {
                model: &model,
                hidden: &hidden,
                examples: &examples,
                places: &places,
                items: batch.iter().map(|&i| &self.items[i]).collect(),
            };
            for (modality, weight) in [
                (Modality::Visual, atc.visual),
                (Modality::Textual, atc.textual),
            ] {
                if let Some(part) = heads.loss(modality, micro, &mut loss.parts)? {
                    loss.total = (loss.total + (part * weight)?)?;
                }
            }
        }
        Ok(loss)
    }
}

/// What the heads read in a micro-batch.
struct Heads<'a> {
    model: &'a VideoLlama3,
    /// `[S, E]`
    hidden: &'a Tensor,
    examples: &'a [&'a Example],
    places: &'a [Place],
    items: Vec<&'a Item>,
}

impl Heads<'_> {
    /// The share of this micro-batch in the mean over the step; nothing if no sample has the label.
    fn loss(
        &self,
        modality: Modality,
        micro: Micro,
        parts: &mut Vec<(&'static str, f32)>,
    ) -> Result<Option<Tensor>, BoxError> {
        let (divisor, names) = match modality {
            Modality::Visual => (micro.totals.visual, ["atc.visual", "atc.accuracy.visual"]),
            Modality::Textual => (
                micro.totals.textual,
                ["atc.textual", "atc.accuracy.textual"],
            ),
        };
        let mut rows = Vec::new();
        let mut labels = Vec::new();
        for ((example, place), item) in self.examples.iter().zip(self.places).zip(&self.items) {
            let Some(positions) = example.sequence.alarm else {
                return Err(format!("sample {} has no alarm tokens in its prompt", item.id).into());
            };
            let (label, position) = match modality {
                Modality::Visual => (item.labels.visual, positions.visual),
                Modality::Textual => (item.labels.textual, positions.textual),
            };
            // Without a label there is nothing to tell the head; it is counted by its absence.
            if label.is_some() {
                rows.push((place.start + position) as u32);
                labels.push(label);
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let count = rows.len();
        let rows = Tensor::from_vec(rows, count, self.hidden.device())?;
        let chosen = self.hidden.index_select(&rows, 0)?; // [N, E]
        let alarm = self.model.alarm().ok_or("the model has no alarm tokens")?;
        let logits = alarm
            .logits(modality, &chosen)?
            .ok_or("the model has no alarm heads")?;
        let found = atc(&logits, &labels, divisor as f64)?;
        parts.push((names[0], found.loss.to_scalar::<f32>()?));
        parts.push((names[1], found.correct as f32 / divisor as f32));
        Ok(Some(found.loss))
    }
}
