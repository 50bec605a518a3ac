//! Supervised fine-tuning: the next token of the answers.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::DType;
use model::{Alarm, Config, VideoLlama3, Weights};

use crate::forward::{Example, hidden, longest};
use crate::loss::next_token::{Targets, next_token, target_count};
use crate::recipe::Sft;
use crate::run::{Ended, Progress, Run, run};
use crate::stages::folder::ModelFolder;
use crate::step::{Item, Loss, Objective, Totals};
use crate::{BoxError, Error};

/// A model, what it should learn, and where.
pub struct Job<'a> {
    /// Checkpoint folder that the run starts from: configuration, tokenizer and all else that stays.
    pub source: &'a Path,
    /// In f32: read from `source`, or fresh ones of its configuration.
    pub weights: Weights,
    /// What to do.
    pub recipe: &'a Sft,
    /// What to learn.
    pub examples: &'a [Example],
    /// The run's folder.
    pub folder: &'a Path,
    /// Micro-batches at a time; see [`Run::workers`].
    pub workers: NonZeroUsize,
    /// See [`Run::versions`].
    pub versions: BTreeMap<String, String>,
}

/// Trains, from the newest checkpoint of the run's folder if it has one.
pub fn train(
    job: Job<'_>,
    progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Ended, Error> {
    let config = Config::open(job.source)?;
    let plan = job
        .recipe
        .rules()
        .assign(job.weights.iter().map(|(name, _)| name))?;
    let (weights, parameters) = job.weights.into_trainable(|name| plan.contains_key(name))?;
    let device = candle_core::Device::Cpu;
    let alarm = Alarm::open(job.source, config.text.hidden_size, DType::F32, &device)?;
    let model = VideoLlama3::new(config.clone(), &weights, alarm)?;
    let it = Run {
        folder: job.folder,
        recipe: job.recipe,
        objective: &Supervised::new(&model, job.examples)?,
        parameters: &parameters,
        artifacts: &ModelFolder {
            source: job.source,
            config: &config,
            weights: &weights,
            parameters: &parameters,
        },
        workers: job.workers,
        versions: job.versions,
    };
    run(&it, progress)
}

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
