//! One stage of a recipe: its data read and checked, its model made ready, the loop run, the result
//! exported.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};

use model::Processor;

use super::chain::{Endpoints, Listener, MODEL, Told};
use super::dpo::{Held, Preferences};
use super::folder::{ModelFolder, export};
use super::grpo::Policy;
use super::material::{Material, Tools};
use super::records::records;
use super::start::Start;
use super::supervised::Supervised;
use crate::Error;
use crate::recipe::{Grpo, Kind, Reference, Stage};
use crate::reward::total::Rewards;
use crate::rounds::{Plain, Rounds};
use crate::run::{Ended, Run, run};

/// One stage to run.
pub struct Job<'a> {
    /// Checkpoint folder that it starts from.
    pub source: &'a Path,
    /// What to do.
    pub stage: &'a Stage,
    /// Of the recipe.
    pub seed: u64,
    /// The run's folder.
    pub folder: &'a Path,
    /// Of vision features and probes.
    pub cache: &'a Path,
    /// Micro-batches at a time.
    pub workers: NonZeroUsize,
    /// Calls reward endpoints.
    pub endpoints: &'a Endpoints<'a>,
    /// See [`Run::versions`].
    pub versions: BTreeMap<String, String>,
}

/// Runs a stage from its newest checkpoint, if it has one; its model is in `folder/model` when it is
/// complete.
pub fn run_stage(job: &Job<'_>, listener: &mut Listener<'_>) -> Result<Ended, Error> {
    let stage = job.stage.running(job.seed);
    let start = Start::open(job.source, &stage)?;
    let mut processor = Processor::open(job.source)?;
    if start.alarm.is_some() {
        processor.use_alarm()?;
    }
    let processor = Arc::new(processor);
    let untracked = start.untracked()?;
    let records = records(&stage, job.seed)?;
    let _ = listener(Told::Read {
        records: records.records.len(),
        without_visual: records.without_visual,
        without_textual: records.without_textual,
    });
    let tools = Tools {
        processor: Arc::clone(&processor),
        cache: job.cache,
        start: Some(&start),
    };
    let material = {
        let heard = Mutex::new(&mut *listener);
        Material::open(&stage, records, &tools, &|done, total| {
            if let Ok(mut listener) = heard.lock() {
                let _ = listener(Told::Ready(done, total));
            }
        })?
    };
    let network = start.network()?;
    let reference = match (stage.kind, &stage.grpo) {
        (Kind::Dpo, _) => Some(start.replica()?),
        (_, Some(Grpo { beta, .. })) if *beta == 0.0 => None,
        (_, Some(grpo)) => match grpo.reference {
            Reference::LoraOff => Some(start.without_lora()?),
            Reference::Frozen | Reference::Sync(_) => Some(start.replica()?),
        },
        _ => None,
    };
    let renewed = match stage.grpo.as_ref().map(|grpo| grpo.reference) {
        Some(Reference::Sync(_)) => reference.as_ref(),
        _ => None,
    };
    let artifacts = ModelFolder {
        source: job.source,
        start: &start,
        renewed,
    };
    let looped = Looped {
        job,
        stage: &stage,
        start: &start,
        artifacts: &artifacts,
    };
    let ended = match (stage.kind, &stage.grpo, &stage.dpo) {
        (Kind::Grpo, Some(grpo), _) => {
            let rewards = rewards(grpo, job.endpoints)?;
            let policy = Policy {
                model: &network,
                behaviour: &untracked,
                reference: reference.as_ref(),
                parameters: &start.parameters,
                tokenizer: processor.tokenizer(),
                examples: &material,
                records: material.records(),
                items: material.items(),
                settings: grpo,
                rewards: &rewards,
                seed: stage.training.seed,
                recompute: stage.recompute,
                log: Mutex::new((job.folder.to_owned(), None)),
            };
            looped.run(&policy, listener)?
        }
        (Kind::Dpo, _, Some(settings)) => {
            let reference = reference.as_ref().expect("a DPO stage has one");
            let preferences = Preferences {
                model: &network,
                reference: Held::Model(&reference.network),
                examples: &material,
                items: material.items(),
                settings: *settings,
                recompute: stage.recompute,
            };
            looped.run(&Plain(preferences), listener)?
        }
        _ => {
            let supervised = Supervised {
                model: &network,
                examples: &material,
                items: material.items(),
                atc: stage.atc,
                recompute: stage.recompute,
            };
            looped.run(&Plain(supervised), listener)?
        }
    };
    if let Ended::Complete { checkpoint } = &ended {
        export(checkpoint, &start, &job.folder.join(MODEL))?;
    }
    Ok(ended)
}

/// What the completions of a stage are worth.
pub(super) fn rewards(grpo: &Grpo, endpoints: &Endpoints<'_>) -> Result<Rewards, Error> {
    let called = grpo.reward.http.iter().map(|endpoint| {
        endpoints(endpoint).map_err(|source| Error::Endpoint {
            name: endpoint.name.clone(),
            source,
        })
    });
    Rewards::new(&grpo.reward, called.collect::<Result<_, _>>()?)
}

/// What every kind of stage gives the loop.
struct Looped<'a> {
    job: &'a Job<'a>,
    stage: &'a Stage,
    start: &'a Start,
    artifacts: &'a ModelFolder<'a>,
}

impl Looped<'_> {
    fn run<R: Rounds>(&self, rounds: &R, listener: &mut Listener<'_>) -> Result<Ended, Error> {
        let recipe =
            serde_json::to_value(self.stage).expect("a stage is plain data with text keys");
        let it = Run {
            folder: self.job.folder,
            training: &self.stage.training,
            recipe,
            rounds,
            parameters: &self.start.parameters,
            plan: &self.start.plan,
            artifacts: self.artifacts,
            workers: self.job.workers,
            versions: self.job.versions.clone(),
        };
        run(&it, &mut |progress| listener(Told::Step(progress)))
    }
}
