//! The model of a run as a Hugging Face folder: its weights as they are now, and the files beside
//! them as they came.
//!
//! A run that trains adapters keeps only these in its checkpoints, in PEFT's files; the weights that
//! they were put on are still where they came from.

use std::path::Path;

use candle_core::DType;
use model::{Alarm, Weights};

use super::start::{Replica, Start};
use crate::checkpoint::{Artifacts, OPTIMIZER, STATE};
use crate::error::At;
use crate::{BoxError, Error};

/// Files of a checkpoint that training does not change.
const BESIDE: &[&str] = &[
    "added_tokens.json",
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

/// What a policy is held to, where it changes on the way.
const REFERENCE: &str = "reference.safetensors";

/// How a VideoLLaMA3 under training gets to disk and back.
pub struct ModelFolder<'a> {
    /// Where the files beside the weights come from.
    pub source: &'a Path,
    /// The model.
    pub start: &'a Start,
    /// A reference that is renewed on the way.
    pub renewed: Option<&'a Replica>,
}

impl Artifacts for ModelFolder<'_> {
    fn save(&self, folder: &Path) -> Result<(), BoxError> {
        let Start {
            config,
            weights,
            alarm,
            ..
        } = self.start;
        match weights.lora() {
            Some(_) => weights.save_lora(folder, &self.source.to_string_lossy())?,
            None => weights.save(folder, config)?,
        }
        if let Some(alarm) = alarm {
            alarm.save(folder)?;
        }
        if let Some(Replica { copies, .. }) = self.renewed {
            let copies = copies
                .iter()
                .map(|(name, copy)| (name.clone(), copy.as_detached_tensor()))
                .collect();
            candle_core::safetensors::save(&copies, folder.join(REFERENCE))?;
        }
        copy_beside(self.source, folder)?;
        Ok(())
    }

    fn load(&self, folder: &Path) -> Result<(), BoxError> {
        let Start {
            config,
            weights,
            alarm,
            parameters,
            ..
        } = self.start;
        let Some(device) = parameters.values().next().map(|any| any.device().clone()) else {
            return Ok(());
        };
        let set = |name: &str, tensor| match parameters.get(name) {
            Some(parameter) => parameter.set(tensor),
            None => Ok(()),
        };
        let saved = match weights.lora() {
            Some(_) => weights.without_lora().with_lora_from(folder)?,
            None => Weights::open(folder, config, DType::F32, &device)?,
        };
        for (name, tensor) in saved.iter() {
            set(name, tensor)?;
        }
        if alarm.is_some() {
            let width = config.text.hidden_size;
            let saved = Alarm::open(folder, width, DType::F32, &device)?;
            for (name, tensor) in saved.iter().flat_map(Alarm::iter) {
                set(name, tensor)?;
            }
        }
        if let Some(Replica { copies, .. }) = self.renewed {
            let saved = candle_core::safetensors::load(folder.join(REFERENCE), &device)?;
            for (name, copy) in copies {
                let saved = saved
                    .get(name)
                    .ok_or_else(|| format!("{REFERENCE} lacks `{name}`"))?;
                copy.set(saved)?;
            }
        }
        Ok(())
    }
}

/// Makes `out` the model of a finished run: the files of its last checkpoint without what only
/// training needs, shared with it where the disk can, and adapters merged into the weights. Written
/// aside first and then renamed.
pub fn export(checkpoint: &Path, start: &Start, out: &Path) -> Result<(), Error> {
    let aside = out.with_extension("writing");
    if aside.exists() {
        std::fs::remove_dir_all(&aside).at("remove", &aside)?;
    }
    std::fs::create_dir_all(&aside).at("create", &aside)?;
    for entry in std::fs::read_dir(checkpoint).at("list", checkpoint)? {
        let from = entry.at("list", checkpoint)?.path();
        let name = from.file_name().unwrap_or_default();
        if [STATE, OPTIMIZER, REFERENCE]
            .iter()
            .any(|only| name == *only)
        {
            continue;
        }
        let to = match name.to_string_lossy().starts_with("adapter_") {
            // Beside whole weights its configuration would send a reader to look for others.
            true => {
                let adapter = aside.join("adapter");
                std::fs::create_dir_all(&adapter).at("create", &adapter)?;
                adapter.join(name)
            }
            false => aside.join(name),
        };
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).at("copy", &from)?;
        }
    }
    if start.weights.lora().is_some() {
        start.weights.merged()?.save(&aside, &start.config)?;
    }
    if out.exists() {
        std::fs::remove_dir_all(out).at("remove", out)?;
    }
    std::fs::rename(&aside, out).at("rename to", out)
}

fn copy_beside(source: &Path, folder: &Path) -> Result<(), BoxError> {
    for name in BESIDE {
        let from = source.join(name);
        if from.is_file() {
            std::fs::copy(from, folder.join(name))?;
        }
    }
    Ok(())
}
