//! A checkpoint made ready to learn: which of its numbers change, how fast, and the networks over them.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use model::{Alarm, Config, VideoLlama3, Weights};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::error::Doing;
use crate::groups::{Assignment, Rules};
use crate::recipe::{AlarmStage, Stage};
use crate::{Error, Parameters};

/// A model under training, in f32.
pub struct Start {
    /// Of the model.
    pub config: Config,
    /// All weights, the trainable ones as the variables of `parameters`.
    pub weights: Weights,
    /// Alarm tokens and heads, likewise.
    pub alarm: Option<Alarm>,
    /// What changes.
    pub parameters: Parameters,
    /// How each of them learns.
    pub plan: BTreeMap<String, Assignment>,
}

/// A copy of a model that does not learn by itself: what a policy is held to.
pub struct Replica {
    /// Never tracked.
    pub network: VideoLlama3,
    /// The numbers that differ from the model's, by name.
    pub copies: Parameters,
}

/// The group of the alarm embeddings in the events.
const EMBEDDINGS: &str = "alarm_embeddings";
/// The group of the alarm heads.
const HEADS: &str = "alarm_heads";

impl Start {
    /// Reads the checkpoint folder `source` for `stage`. What it lacks is drawn from the stage's seed:
    /// alarm embeddings, heads, adapters.
    pub fn open(source: &Path, stage: &Stage) -> Result<Self, Error> {
        let config = Config::open(source)?;
        let device = Device::Cpu;
        let weights = Weights::open(source, &config, DType::F32, &device)?;
        let alarm = Alarm::open(source, config.text.hidden_size, DType::F32, &device)?;
        Self::new(config, weights, alarm, stage)
    }

    /// Of weights that are there already.
    pub fn new(
        config: Config,
        weights: Weights,
        alarm: Option<Alarm>,
        stage: &Stage,
    ) -> Result<Self, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(stage.training.seed);
        // Apart from the streams of the data order, which are numbered by epoch.
        rng.set_stream(u64::MAX);
        let settings = stage.alarm();
        let alarm = match (alarm, &settings) {
            (None, Some(settings)) => Some(Alarm::fresh(&weights, settings.initial, &mut rng)?),
            (alarm, _) => alarm,
        };
        let alarm = match alarm {
            Some(alarm) if stage.atc().is_some() && !alarm.has_heads() => {
                Some(alarm.with_heads(&mut rng)?)
            }
            alarm => alarm,
        };
        let weights = match &stage.lora {
            Some(lora) => weights.with_lora(lora, &mut rng)?,
            None => weights,
        };
        let mut plan = Self::plan(stage, &weights)?;
        let (weights, mut parameters) = weights.into_trainable(|name| plan.contains_key(name))?;
        let alarm = match (alarm, settings) {
            (Some(alarm), Some(settings)) => {
                let (alarm, own) = alarm.into_trainable(|name| settings.train.includes(name))?;
                plan.extend(
                    own.keys()
                        .map(|name| (name.clone(), of_alarm(name, &settings))),
                );
                parameters.extend(own);
                Some(alarm)
            }
            (alarm, _) => alarm,
        };
        Ok(Self {
            config,
            weights,
            alarm,
            parameters,
            plan,
        })
    }

    /// How each of the weights learns: all that the recipe does not freeze, or the adapters alone.
    fn plan(stage: &Stage, weights: &Weights) -> Result<BTreeMap<String, Assignment>, Error> {
        let names = || weights.iter().map(|(name, _)| name);
        match stage.lora {
            None => stage.training.rules().assign(names()),
            Some(_) => {
                adapter_rules(stage).assign(names().filter(|name| model::lora::is_adapter(name)))
            }
        }
    }

    /// The network that learns.
    pub fn network(&self) -> Result<VideoLlama3, Error> {
        Ok(VideoLlama3::new(
            self.config.clone(),
            &self.weights,
            self.alarm.clone(),
        )?)
    }

    /// The same network, always with its newest weights, for when no gradient is wanted.
    pub fn untracked(&self) -> Result<VideoLlama3, Error> {
        let alarm = self.alarm.as_ref().map(Alarm::untracked);
        Ok(VideoLlama3::new(
            self.config.clone(),
            &self.weights.untracked(),
            alarm,
        )?)
    }

    /// The network as it is now, which stays so.
    pub fn replica(&self) -> Result<Replica, Error> {
        let mut copies = BTreeMap::new();
        let mut views: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, parameter) in &self.parameters {
            let copy = parameter
                .as_detached_tensor()
                .copy()
                .and_then(|copy| Var::from_tensor(&copy))
                .doing(format!("copying `{name}`"))?;
            views.insert(name.clone(), copy.as_detached_tensor());
            copies.insert(name.clone(), copy);
        }
        let weights = self.weights.untracked().replaced(&views);
        let alarm = self
            .alarm
            .as_ref()
            .map(|alarm| alarm.untracked().replaced(&views));
        let network = VideoLlama3::new(self.config.clone(), &weights, alarm)?;
        Ok(Replica { network, copies })
    }

    /// The network without its adapters, which do all the learning.
    pub fn without_lora(&self) -> Result<Replica, Error> {
        Ok(Replica {
            network: self.untracked()?.without_lora(),
            copies: BTreeMap::new(),
        })
    }

    /// Numbers that learn.
    pub fn count(&self) -> usize {
        self.parameters.values().map(|var| var.elem_count()).sum()
    }
}

/// How adapters learn: patterns of a full fine-tuning name what stays frozen beside them anyway.
pub(crate) fn adapter_rules(stage: &Stage) -> Rules<'_> {
    Rules {
        frozen: &[],
        ..stage.training.rules()
    }
}

/// Neither embeddings nor heads decay: two vectors and two rows have nothing to be spared of.
fn of_alarm(name: &str, settings: &AlarmStage) -> Assignment {
    let (group, learning_rate) = match name.ends_with("_embedding") {
        true => (EMBEDDINGS, settings.embeddings_learning_rate),
        false => (HEADS, settings.heads_learning_rate),
    };
    Assignment {
        group: group.to_owned(),
        learning_rate,
        weight_decay: 0.0,
    }
}
