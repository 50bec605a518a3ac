//! Adapters in PEFT's files: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! A tensor is called `base_model.model.<module>.lora_A.weight` there, the module by its path in
//! `transformers`' port. Source: `peft` 0.21, `tuners/lora/config.py` and `utils/save_and_load.py`.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use serde_json::{Value, json};

use super::{A, B, LoraConfig, is_adapter};
use crate::config::Layout;
use crate::error::{Error, Result};
use crate::names;
use crate::weights::{Weights, map, write};

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";

/// Fields that make an adapter more than `scale · B A`, each absent, null, false, empty or "none" in
/// one that is not.
const MORE: &[&str] = &[
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "bias",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
];

/// Starting points of A and B that leave the base weights as they are; others are of a base that was
/// changed with them.
const INITIAL: &[&str] = &["gaussian", "eva", "orthogonal"];

impl Weights {
    /// Writes the adapters into `folder` as PEFT does: the tensors, then the configuration that makes
    /// the folder an adapter's, each aside first and then renamed. `base` says where PEFT finds the
    /// model that they belong on: a folder, or a name on a hub.
    ///
    /// # Errors
    /// If there are no adapters, or a file cannot be written.
    pub fn save_lora(&self, folder: &Path, base: &str) -> Result<()> {
        let Some(config) = &self.lora else {
            return Err(Error::Input(
                "these weights have no adapters to save".to_owned(),
            ));
        };
        let adapters = self.tensors.iter().filter(|(name, _)| is_adapter(name));
        let tensors = adapters.map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor));
        write(tensors.collect(), &folder.join(TENSORS))?;
        let described = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "inference_mode": true,
            "r": config.rank,
            "lora_alpha": number(config.alpha),
            "lora_dropout": config.dropout,
            "target_modules": self.target_modules(config),
            "bias": "none",
            "fan_in_fan_out": false,
            "init_lora_weights": true,
            "use_rslora": false,
            "use_dora": false,
            "modules_to_save": null,
            "rank_pattern": {},
            "alpha_pattern": {},
        });
        let text = serde_json::to_string_pretty(&described).expect("plain data is JSON");
        let path = folder.join(CONFIG);
        let aside = folder.join("adapter_config.json.tmp");
        let at = |path: &Path| {
            let path = path.to_owned();
            |source| Error::File { path, source }
        };
        std::fs::write(&aside, text + "\n").map_err(at(&aside))?;
        std::fs::rename(&aside, &path).map_err(at(&path))
    }

    /// The same weights with the adapters of a PEFT folder on their layers, in the layers' type.
    /// Modules may be called as in the port or as in the original.
    ///
    /// # Errors
    /// If there are adapters already, a file cannot be read, a tensor fits no layer or has another
    /// shape than its layer and the rank say, or the configuration asks for more than plain LoRA;
    /// names the tensor or the field.
    pub fn with_lora_from(mut self, folder: &Path) -> Result<Self> {
        self.refuse_adapters()?;
        let path = folder.join(CONFIG);
        let wrong = |reason: String| Error::Checkpoint {
            path: path.clone(),
            reason,
        };
        let text = std::fs::read_to_string(&path).map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        let json: Value =
            serde_json::from_str(&text).map_err(|e| wrong(format!("not JSON: {e}")))?;
        let (mut config, targets) = read_config(&json).map_err(wrong)?;
        let adapters = self.read_tensors(&folder.join(TENSORS), config.rank)?;
        let modules: Vec<String> = adapters
            .keys()
            .filter_map(|name| name.strip_suffix(A))
            .map(str::to_owned)
            .collect();
        // Targets that say the same as the tensors are kept in their short form.
        config.targets = targets;
        let same = self.targeted(&config).is_ok_and(|found| found == modules);
        if !same {
            config.targets = modules;
        }
        config.check().map_err(|error| wrong(error.to_string()))?;
        self.tensors.extend(adapters);
        self.lora = Some(config);
        Ok(self)
    }

    /// What PEFT has to target to adapt the same layers: it knows no `*`.
    fn target_modules(&self, config: &LoraConfig) -> Vec<String> {
        if config.targets.iter().any(|target| target.contains('*')) {
            let modules = self.tensors.keys().filter_map(|name| name.strip_suffix(A));
            modules.map(str::to_owned).collect()
        } else {
            config.targets.clone()
        }
    }

    /// The adapters in a file by our names, each complete and of the right shapes.
    fn read_tensors(&self, path: &Path, rank: usize) -> Result<BTreeMap<String, Tensor>> {
        let file = map(path)?;
        let wrong = |reason: String| Error::Checkpoint {
            path: path.to_owned(),
            reason,
        };
        let modules: BTreeMap<String, &str> = self
            .linear_modules()
            .flat_map(|module| {
                let original = names::in_layout(module, Layout::Original);
                std::iter::once(module.to_owned())
                    .chain(original)
                    .map(move |called| (called, module))
            })
            .collect();
        let mut adapters = BTreeMap::new();
        let mut tensors = file.tensors();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, view) in tensors {
            let ours = name.strip_prefix(PREFIX).and_then(|path| {
                let side = [A, B].into_iter().find(|side| path.ends_with(side))?;
                let module = modules.get(path.strip_suffix(side)?)?;
                Some((*module, side))
            });
            let Some((module, side)) = ours else {
                return Err(wrong(format!(
                    "tensor {name} is no plain adapter on a linear layer of this model"
                )));
            };
            let weight = self.get(&format!("{module}.weight"));
            let (output, input) = weight.dims2()?;
            let expected = match side {
                A => [rank, input],
                _ => [output, rank],
            };
            if view.shape() != expected {
                let found = view.shape();
                return Err(wrong(format!(
                    "tensor {name} has shape {found:?}, rank {rank} and its layer ask for \
                     {expected:?}"
                )));
            }
            let tensor = file.load(&name, weight.device())?;
            adapters.insert(format!("{module}{side}"), tensor.to_dtype(weight.dtype())?);
        }
        let partner = |name: &str| match name.strip_suffix(A) {
            Some(module) => format!("{module}{B}"),
            None => format!("{}{A}", name.strip_suffix(B).unwrap_or(name)),
        };
        let lonely = adapters
            .keys()
            .find(|name| !adapters.contains_key(&partner(name)));
        match lonely {
            Some(name) => Err(wrong(format!("{PREFIX}{} is missing", partner(name)))),
            None if adapters.is_empty() => Err(wrong("holds no adapter".to_owned())),
            None => Ok(adapters),
        }
    }
}

/// Size, scale and dropout, and the targets as they are listed.
fn read_config(json: &Value) -> std::result::Result<(LoraConfig, Vec<String>), String> {
    let kind = json.get("peft_type").and_then(Value::as_str);
    if kind != Some("LORA") {
        return Err(format!(
            "peft_type is {}, only LORA is supported",
            kind.unwrap_or("missing")
        ));
    }
    if let Some((field, value)) = MORE
        .iter()
        .filter_map(|field| Some((field, json.get(*field)?)))
        .find(|(_, value)| !is_off(value))
    {
        return Err(format!(
            "{field} is {value}: only plain LoRA is supported, merge the adapter with PEFT first"
        ));
    }
    match json.get("init_lora_weights") {
        None | Some(Value::Null | Value::Bool(_)) => {}
        Some(Value::String(initial)) if INITIAL.contains(&initial.as_str()) => {}
        Some(other) => {
            return Err(format!(
                "init_lora_weights is {other}, which changes the base weights too: save the adapter \
                 with PEFT's path_initial_model_for_weight_conversion"
            ));
        }
    }
    let rank = json
        .get("r")
        .and_then(Value::as_u64)
        .and_then(|rank| usize::try_from(rank).ok())
        .ok_or("`r` is missing or not a whole number")?;
    let alpha = json
        .get("lora_alpha")
        .and_then(Value::as_f64)
        .ok_or("`lora_alpha` is missing or not a number")?;
    // Rank-stabilised adapters (arXiv:2312.03732) scale by alpha / √r.
    let stabilised = json.get("use_rslora").and_then(Value::as_bool) == Some(true);
    let alpha = if stabilised {
        alpha * (rank as f64).sqrt()
    } else {
        alpha
    };
    let dropout = json.get("lora_dropout").and_then(Value::as_f64);
    let targets = json.get("target_modules").and_then(Value::as_array);
    let targets = targets.into_iter().flatten().filter_map(Value::as_str);
    let config = LoraConfig {
        rank,
        alpha,
        dropout: dropout.unwrap_or(0.0),
        targets: Vec::new(),
    };
    Ok((config, targets.map(str::to_owned).collect()))
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::String(word) => word == "none",
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    }
}

/// A whole number without its point: PEFT's `lora_alpha` is an integer.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 2f64.powi(53) {
        json!(value as i64)
    } else {
        json!(value)
    }
}
