//! Supervised fine-tuning: the next token of the answers.

use model::VideoLlama3;

use crate::forward::{Example, hidden, longest};
use crate::loss::next_token::{Targets, next_token, target_count};
use crate::step::{Item, Loss, Objective, Totals};
use crate::{BoxError, Error};

/// The mean next-token loss over the answers of examples.
pub struct Supervised<'a> {
    model: &'a VideoLlama3,
    examples: &'a [Example],
    items: Vec<Item>,
}

impl<'a> Supervised<'a> {
    /// Over a model built from variables. An example without a target is refused: it would count as
    /// a sample and teach nothing.
    pub fn new(model: &'a VideoLlama3, examples: &'a [Example]) -> Result<Self, Error> {
        let mut items = Vec::with_capacity(examples.len());
        for example in examples {
            let targets = example.sequence.labels.as_deref().map_or(0, target_count);
            if targets == 0 {
                return Err(Error::NoTarget {
                    id: example.id.clone(),
                });
            }
            let length = example.sequence.input_ids.len();
            items.push(Item {
                id: example.id.clone(),
                length,
                targets,
            });
        }
        Ok(Self {
            model,
            examples,
            items,
        })
    }
}

impl Objective for Supervised<'_> {
    fn items(&self) -> &[Item] {
        &self.items
    }

    fn loss(&self, batch: &[usize], totals: Totals) -> Result<Loss, BoxError> {
        let examples: Vec<&Example> = batch.iter().map(|&i| &self.examples[i]).collect();
        let hidden = hidden(self.model, &examples)?;
        let labels: Vec<&[Option<u32>]> = examples
            .iter()
            .filter_map(|example| example.sequence.labels.as_deref())
            .collect();
        let targets = Targets::next(&labels, longest(&examples));
        let total = next_token(
            &hidden,
            self.model.lm_head(),
            &targets,
            totals.targets as f64,
        )?;
        Ok(Loss {
            total,
            parts: Vec::new(),
        })
    }
}
