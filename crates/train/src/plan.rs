//! What a recipe would do and cost, told without doing it: no weight is read, no video decoded.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device};
use model::tokenizer::{TEXTUAL_ALARM, VISUAL_ALARM};
use model::{Alarm, Config, Processor, Tokenizer, names};
use serde::Serialize;

use crate::Error;
use crate::order::{Order, Size};
use crate::recipe::{AlarmParts, Kind, Recipe, Stage, ZeroVariance};
use crate::run::total_steps;
use crate::stages::material::{Material, Tools};
use crate::stages::records::{Records, records};
use crate::stages::start::adapter_rules;

/// A stage's numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StagePlan {
    /// In the recipe.
    pub name: String,
    /// What it minimises.
    pub kind: Kind,
    /// To learn from.
    pub records: usize,
    /// Of these, with a video that has no label.
    pub without_visual: usize,
    /// Of these, with a query that has no label.
    pub without_textual: usize,
    /// Numbers in the model.
    pub parameters: usize,
    /// Of these, that learn.
    pub trained: usize,
    /// Optimizer steps.
    pub steps: usize,
    /// Micro-batches of a step.
    pub accumulation: usize,
    /// Read in the whole stage, at most.
    pub tokens: u64,
    /// Patches that the vision encoder sees in the whole stage, at most; once for each video where it is
    /// frozen.
    pub patches: u64,
    /// Written by the model in the whole stage, at most.
    pub generated: u64,
    /// Of the longest record.
    pub longest: usize,
    /// Of memory, for one micro-batch at a time; an estimate.
    pub bytes: u64,
    /// Multiplications and additions; an estimate.
    pub flops: f64,
}

/// The plans of all stages of `recipe`. `cache` keeps what the videos' headers say.
pub fn plan(recipe: &Recipe, cache: &Path) -> Result<Vec<StagePlan>, Error> {
    let config = config(recipe)?;
    let has_alarm = Alarm::open(
        &recipe.model,
        config.text.hidden_size,
        DType::F32,
        &Device::Cpu,
    )?
    .is_some();
    let mut plans = Vec::with_capacity(recipe.stages.len());
    for index in 0..recipe.stages.len() {
        let mut lineage = std::iter::successors(Some(index), |&index| recipe.parent(index));
        let alarmed = has_alarm || lineage.any(|index| recipe.stages[index].alarm().is_some());
        let mut processor = Processor::open(&recipe.model)?;
        let registered = alarmed && processor.use_alarm().is_ok();
        let tools = Tools {
            processor: Arc::new(processor),
            cache,
            start: None,
        };
        let stage = recipe.stages[index].running(recipe.seed);
        let records = records(&stage, recipe.seed)?;
        let planned = Planned {
            stage: &stage,
            parts: Parts::of(&config, &stage)?,
            // Tokens that the checkpoint's tokenizer lacks still.
            added: if alarmed && !registered {
                ALARM_TOKENS
            } else {
                0
            },
        };
        plans.push(planned.told(records, &config, &tools)?);
    }
    Ok(plans)
}

/// In every prompt of a model that has them: one of the video, one of the query.
const ALARM_TOKENS: usize = 2;

/// The starting model's, with the rows that registering alarm tokens adds to its table.
pub(crate) fn config(recipe: &Recipe) -> Result<Config, Error> {
    let mut config = Config::open(&recipe.model)?;
    if recipe.uses_alarm() {
        let tokenizer = Tokenizer::open(&recipe.model)?;
        let missing = [VISUAL_ALARM, TEXTUAL_ALARM]
            .iter()
            .filter(|token| tokenizer.id(token).is_none())
            .count();
        if missing > 0 {
            let needed = tokenizer.vocabulary() + missing;
            config.text.vocab_size = config.text.vocab_size.max(needed);
        }
    }
    Ok(config)
}

/// Refuses patterns and adapters of a stage that fit nothing in the model.
pub(crate) fn refuse_idle(config: &Config, stage: &Stage) -> Result<(), Error> {
    Parts::of(config, stage).map(|_| ())
}

/// A stage of which something is to be told.
struct Planned<'a> {
    stage: &'a Stage,
    parts: Parts,
    /// To each sample, tokens that the processor does not know of.
    added: usize,
}

impl Planned<'_> {
    fn told(
        &self,
        records: Records,
        config: &Config,
        tools: &Tools<'_>,
    ) -> Result<StagePlan, Error> {
        let (stage, parts) = (self.stage, &self.parts);
        let Records {
            without_visual,
            without_textual,
            ..
        } = records;
        let count = records.records.len();
        let material = Material::open(stage, records, tools, &|_, _| ())?;
        let items = material.items();
        let sizes: Vec<Size> = items
            .iter()
            .map(|item| Size {
                tokens: item.size.tokens + self.added,
                ..item.size
            })
            .collect();
        let order = Order {
            seed: stage.training.seed,
            sizes: &sizes,
            batch: stage.training.batch,
            window: stage.training.window,
        };
        let steps = total_steps(&stage.training, &order);
        let longest = sizes.iter().map(|size| size.tokens).max().unwrap_or(0);
        let read = self.read(&order, steps, longest);
        let group = stage.grpo.as_ref().map_or(0, |grpo| grpo.group);
        let answers = group * stage.grpo.as_ref().map_or(0, |grpo| grpo.max_tokens);
        let draws = match stage.grpo.as_ref().map(|grpo| grpo.zero_variance) {
            Some(ZeroVariance::Resample(times)) => times as u64,
            _ => 1,
        };
        let generated = read.samples * answers as u64 * draws;
        let tokens = read.tokens + read.samples * answers as u64;
        let patches = match parts.vision_learns {
            true => read.patches,
            false => sizes.iter().map(|size| size.patches as u64).sum(),
        };
        let micro = |batch: &Vec<usize>| batch.iter().map(|&i| sizes[i].tokens + answers).sum();
        let micro: usize = order.epoch(0).iter().map(micro).max().unwrap_or(0);
        Ok(StagePlan {
            name: stage.name.clone(),
            kind: stage.kind,
            records: count,
            without_visual,
            without_textual,
            parameters: parts.all(),
            trained: parts.trained,
            steps,
            accumulation: stage.training.accumulation,
            tokens,
            patches,
            generated,
            longest,
            bytes: parts.bytes(config, stage, micro),
            flops: parts.flops(stage, [tokens, patches, generated]),
        })
    }

    /// What `steps` steps read of the records, epoch after epoch. Where prompts are drawn again it is not
    /// known which they are: each might be the longest.
    fn read(&self, order: &Order<'_>, steps: usize, longest: usize) -> Read {
        let resamples = self
            .stage
            .grpo
            .as_ref()
            .is_some_and(|grpo| matches!(grpo.zero_variance, ZeroVariance::Resample(_)));
        let mut read = Read::default();
        let mut taken = 0;
        for epoch in 0.. {
            for step in order.epoch(epoch).chunks(self.stage.training.accumulation) {
                if taken == steps {
                    return read;
                }
                taken += 1;
                for &i in step.iter().flatten() {
                    let size = order.sizes[i];
                    read.samples += 1;
                    read.tokens += if resamples { longest } else { size.tokens } as u64;
                    read.patches += size.patches as u64;
                }
            }
            if order.sizes.is_empty() {
                break;
            }
        }
        read
    }
}

/// Of a whole stage.
#[derive(Default)]
struct Read {
    samples: u64,
    tokens: u64,
    patches: u64,
}

/// Numbers in the parts of a model.
struct Parts {
    text: usize,
    vision: usize,
    trained: usize,
    vision_learns: bool,
}

impl Parts {
    fn of(config: &Config, stage: &Stage) -> Result<Self, Error> {
        let all: Vec<(String, usize)> = names::weights(config)
            .into_iter()
            .map(|(name, shape)| (name, shape.iter().product()))
            .collect();
        let sees = |name: &str| {
            name.starts_with("model.vision_model.") || name.starts_with("model.projector.")
        };
        let sum = |of: &dyn Fn(&str) -> bool| -> usize {
            let fitting = all.iter().filter(|(name, _)| of(name));
            fitting.map(|(_, count)| count).sum()
        };
        let (trained, vision_learns) = match &stage.lora {
            Some(lora) => {
                let adapters = model::lora::sizes(config, lora)?;
                let vision = adapters.iter().any(|(module, _)| sees(module));
                let of_module = |(module, _): &(String, usize)| {
                    ["A", "B"].map(|side| format!("{module}.lora_{side}.weight"))
                };
                let names: Vec<String> = adapters.iter().flat_map(of_module).collect();
                adapter_rules(stage).assign(names.iter().map(String::as_str))?;
                (adapters.iter().map(|(_, count)| count).sum(), vision)
            }
            None => {
                let plan = stage
                    .training
                    .rules()
                    .assign(all.iter().map(|(name, _)| name.as_str()))?;
                let vision = plan.keys().any(|name| sees(name));
                (sum(&|name| plan.contains_key(name)), vision)
            }
        };
        let mut text = sum(&|name| !sees(name));
        let mut trained: usize = trained;
        if let Some(alarm) = stage.alarm() {
            let embeddings = 2 * config.text.hidden_size;
            let heads = match stage.kind {
                Kind::Atc => embeddings + 2,
                _ => 0,
            };
            text += embeddings + heads;
            trained += match alarm.train {
                AlarmParts::Nothing => 0,
                AlarmParts::Embeddings => embeddings,
                AlarmParts::Heads => heads,
                AlarmParts::Both => embeddings + heads,
            };
        }
        Ok(Self {
            text,
            vision: sum(&sees),
            trained,
            vision_learns,
        })
    }

    fn all(&self) -> usize {
        self.text + self.vision
    }

    /// Weights, gradients, two moments, a reference, and what the tape holds of a micro-batch: about 20
    /// vectors a token and layer of the decoder, or its input alone where blocks are computed again.
    fn bytes(&self, config: &Config, stage: &Stage, micro: usize) -> u64 {
        let has_copy =
            stage.dpo.is_some() || stage.grpo.as_ref().is_some_and(|grpo| grpo.beta > 0.0);
        let copy = if has_copy && stage.lora.is_none() {
            self.trained
        } else {
            0
        };
        let numbers = self.all() + 3 * self.trained + copy;
        let text = &config.text;
        let wide = 14 * text.hidden_size + 5 * text.intermediate_size;
        let kept = match stage.recompute {
            true => text.num_hidden_layers * text.hidden_size + wide,
            false => text.num_hidden_layers * wide,
        };
        4 * (numbers as u64 + micro as u64 * kept as u64)
    }

    /// Two a weight and token forward, four backward, two more where blocks are computed again; two for
    /// each token that is written, and for each that the reference reads.
    fn flops(&self, stage: &Stage, [tokens, patches, generated]: [u64; 3]) -> f64 {
        let backward = if stage.recompute { 6.0 } else { 4.0 };
        let reference = if stage.dpo.is_some() || stage.grpo.is_some() {
            2.0
        } else {
            0.0
        };
        let updates = stage.grpo.as_ref().map_or(1, |grpo| grpo.updates) as f64;
        let learnt = tokens as f64 * self.text as f64 * ((2.0 + backward) * updates + reference);
        let written = generated as f64 * self.text as f64 * 2.0;
        let seen = if self.vision_learns { 6.0 } else { 2.0 };
        learnt + written + patches as f64 * self.vision as f64 * seen
    }
}
