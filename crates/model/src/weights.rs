//! The weights of a model by the port's names: out of a checkpoint folder, out of a seed, and back
//! into a folder under the names they came with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor, Var};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::lora::{LoraConfig, is_adapter};
use crate::names;
use crate::ops::Linear;

/// All weights of a model, by the port's names ([`names::weights`]).
#[derive(Clone, Debug)]
pub struct Weights {
    pub(crate) tensors: BTreeMap<String, Tensor>,
    /// What the adapters among them are; see [`crate::lora`].
    pub(crate) lora: Option<LoraConfig>,
}

impl Weights {
    /// Reads the weights of `folder` as `dtype`: `model.safetensors`, or the shards that
    /// `model.safetensors.index.json` names. Every tensor of the configuration must be there with
    /// its shape; others are left alone.
    ///
    /// # Errors
    /// Names the tensor, the file, and the shapes expected and found.
    pub fn open(folder: &Path, config: &Config, dtype: DType, device: &Device) -> Result<Self> {
        let files = files(folder)?;
        let maps = files
            .into_iter()
            .map(|path| Ok((map(&path)?, path)))
            .collect::<Result<Vec<_>>>()?;
        let mut tensors = BTreeMap::new();
        for (name, expected) in names::weights(config) {
            let looked_for = names::in_layout(&name, config.layout);
            let found = looked_for.iter().find_map(|there| {
                let (map, path) = maps.iter().find(|(map, _)| map.get(there).is_ok())?;
                Some((there, map, path))
            });
            let Some((there, map, path)) = found else {
                return Err(Error::MissingTensor {
                    name,
                    expected,
                    folder: folder.to_owned(),
                    looked_for,
                });
            };
            let shape = map.get(there)?.shape().to_vec();
            if shape != expected {
                return Err(Error::WrongShape {
                    name: there.clone(),
                    file: path.clone(),
                    expected,
                    found: shape,
                });
            }
            tensors.insert(name, map.load(there, device)?.to_dtype(dtype)?);
        }
        Ok(Self::base(tensors))
    }

    /// Fresh f32 weights from a seed: normal with standard deviation `std`, norms 1, biases 0.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn random(config: &Config, std: f64, rng: &mut ChaCha8Rng) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for (name, shape) in names::weights(config) {
            let count: usize = shape.iter().product();
            let is_norm = name.contains("norm");
            let values: Vec<f32> = if name.ends_with(".bias") {
                vec![0.0; count]
            } else if is_norm {
                vec![1.0; count]
            } else {
                (0..count)
                    .map(|_| (standard_normal(rng) * std) as f32)
                    .collect()
            };
            tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
        }
        Ok(Self::base(tensors))
    }

    /// Without adapters.
    pub(crate) fn base(tensors: BTreeMap<String, Tensor>) -> Self {
        Self {
            tensors,
            lora: None,
        }
    }

    /// The embedding table `[V, E]`.
    pub fn embed_tokens(&self) -> &Tensor {
        self.tensors
            .get("model.language_model.embed_tokens.weight")
            .expect("every model has an embedding table")
    }

    /// The linear layer of that module, with its adapter where it has one.
    ///
    /// # Panics
    /// If no such module exists, as [`Weights::get`].
    pub(crate) fn linear(&self, module: &str) -> Linear {
        Linear {
            weight: self.get(&format!("{module}.weight")),
            bias: self.tensors.get(&format!("{module}.bias")).cloned(),
            adapter: self.adapter(module),
        }
    }

    /// The weight of that name.
    ///
    /// # Panics
    /// If no such weight exists: names come from [`names::weights`] on both sides.
    pub(crate) fn get(&self, name: &str) -> Tensor {
        self.tensors
            .get(name)
            .expect("every name of the configuration was loaded")
            .clone()
    }

    /// Makes the weights that `trainable` picks into variables: the same weights for a model built
    /// from them, and the variables by name for an optimizer.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn into_trainable(
        self,
        trainable: impl Fn(&str) -> bool,
    ) -> Result<(Self, BTreeMap<String, Var>)> {
        let mut variables = BTreeMap::new();
        let mut tensors = BTreeMap::new();
        for (name, tensor) in self.tensors {
            if trainable(&name) {
                let variable = Var::from_tensor(&tensor)?;
                tensors.insert(name.clone(), variable.as_tensor().clone());
                variables.insert(name, variable);
            } else {
                tensors.insert(name, tensor);
            }
        }
        let lora = self.lora;
        Ok((Self { tensors, lora }, variables))
    }

    /// The same weights, those that are variables always at their newest value, of which no gradient
    /// can be asked.
    #[must_use]
    pub fn untracked(&self) -> Self {
        let mut all = self.clone();
        for tensor in all.tensors.values_mut() {
            *tensor = tensor.detach();
        }
        all
    }

    /// The same weights but for those that `others` has too, which are taken from there.
    #[must_use]
    pub fn replaced(&self, others: &BTreeMap<String, Tensor>) -> Self {
        let mut all = self.clone();
        for (name, tensor) in &mut all.tensors {
            if let Some(other) = others.get(name) {
                *tensor = other.clone();
            }
        }
        all
    }

    /// Every weight with its name, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Numbers in all weights together.
    pub fn count(&self) -> usize {
        self.tensors.values().map(Tensor::elem_count).sum()
    }

    /// Writes `model.safetensors` into `folder` under the names of the configuration's layout,
    /// aside first and then renamed. Adapters are not in it: [`Weights::save_lora`] writes them,
    /// [`Weights::merged`] makes them part of the rest.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, folder: &Path, config: &Config) -> Result<()> {
        let mut out: BTreeMap<String, &Tensor> = BTreeMap::new();
        let base = self.tensors.iter().filter(|(name, _)| !is_adapter(name));
        for (name, tensor) in base {
            let there = names::in_layout(name, config.layout).swap_remove(0);
            out.insert(there, tensor);
        }
        write(out, &folder.join("model.safetensors"))
    }
}

/// Writes a safetensors file that `transformers` reads, aside first and then renamed.
pub(crate) fn write(tensors: BTreeMap<String, &Tensor>, path: &Path) -> Result<()> {
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let aside = path.with_extension("safetensors.tmp");
    safetensors::serialize_to_file(tensors, Some(metadata), &aside).map_err(|error| {
        Error::Checkpoint {
            path: aside.clone(),
            reason: error.to_string(),
        }
    })?;
    std::fs::rename(&aside, path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// A draw from the standard normal distribution (Box and Muller 1958).
pub(crate) fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// The safetensors files of a checkpoint folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join("model.safetensors.index.json");
    let text = std::fs::read_to_string(&index).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Checkpoint {
            path: folder.to_owned(),
            reason: "holds neither model.safetensors nor model.safetensors.index.json; \
                     give a Hugging Face checkpoint folder"
                .to_owned(),
        },
        _ => Error::File {
            path: index.clone(),
            source,
        },
    })?;
    let bad = |reason: String| Error::Checkpoint {
        path: index.clone(),
        reason,
    };
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| bad(format!("not JSON: {e}")))?;
    let map = json
        .get("weight_map")
        .and_then(serde_json::Value::as_object)
        .ok_or_else(|| bad("`weight_map` is missing".to_owned()))?;
    let mut shards = std::collections::BTreeSet::new();
    for shard in map.values() {
        let name = shard.as_str().unwrap_or_default();
        // A shard is a plain file name: an index must not reach outside its folder.
        if name.is_empty() || Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(bad(format!(
                "shard {shard} is not a file name in this folder"
            )));
        }
        shards.insert(folder.join(name));
    }
    Ok(shards.into_iter().collect())
}

/// Maps one safetensors file into memory.
#[expect(
    unsafe_code,
    reason = "mapping weights is the one thing this crate needs it for"
)]
pub(crate) fn map(path: &Path) -> Result<MmapedSafetensors> {
    std::fs::File::open(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    // SAFETY: the mapping is read-only and its tensors are copied out before it is dropped. A file
    // that another process shortens meanwhile ends this process, as with every mapped file.
    unsafe { MmapedSafetensors::new(path) }.map_err(|error| Error::Checkpoint {
        path: path.to_owned(),
        reason: format!("not a safetensors file, or cut short: {error}"),
    })
}
