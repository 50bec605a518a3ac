//! The model of a run as a Hugging Face folder: its weights as they are now, and the files beside
//! them as they came.

use std::path::Path;

use candle_core::DType;
use model::{Config, Weights};

use crate::checkpoint::Artifacts;
use crate::{BoxError, Parameters};

/// Files of a checkpoint that training does not change.
const BESIDE: &[&str] = &[
    "added_tokens.json",
    "alarm.safetensors",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
];

/// How a VideoLLaMA3 under training gets to disk and back.
pub struct ModelFolder<'a> {
    /// Where the files beside the weights come from.
    pub source: &'a Path,
    /// Of the model.
    pub config: &'a Config,
    /// All weights, the trainable ones as the variables of `parameters`, in f32.
    pub weights: &'a Weights,
    /// Those that change.
    pub parameters: &'a Parameters,
}

impl Artifacts for ModelFolder<'_> {
    fn save(&self, folder: &Path) -> Result<(), BoxError> {
        self.weights.save(folder, self.config)?;
        for name in BESIDE {
            let from = self.source.join(name);
            if from.is_file() {
                std::fs::copy(from, folder.join(name))?;
            }
        }
        Ok(())
    }

    fn load(&self, folder: &Path) -> Result<(), BoxError> {
        let Some(any) = self.parameters.values().next() else {
            return Ok(());
        };
        let weights = Weights::open(folder, self.config, DType::F32, any.device())?;
        for (name, tensor) in weights.iter() {
            if let Some(parameter) = self.parameters.get(name) {
                parameter.set(tensor)?;
            }
        }
        Ok(())
    }
}
