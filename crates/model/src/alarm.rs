//! Alarm tokens (arXiv 2505.16643, section 4.1): two trainable embeddings that stand in the prompt,
//! and two linear heads that read at their places whether the video and the text are harmful.
//! Stored beside a checkpoint as `alarm.safetensors`; absent in a model that has none.

// E width, N rows, S sequence, V vocabulary

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ops::Linear;
use crate::weights::{Weights, map, standard_normal, write};

mod register;

pub use register::{Registered, register};

const FILE: &str = "alarm.safetensors";

/// The alarm parts of a model.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// `[1, E]`, stands after the last vision token.
    pub visual_embedding: Tensor,
    /// `[1, E]`, stands before the end of the first user turn.
    pub textual_embedding: Tensor,
    heads: Option<Heads>,
}

#[derive(Clone, Debug)]
struct Heads {
    visual: Linear,
    textual: Linear,
}

/// Which of the two alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modality {
    /// Of the video.
    Visual,
    /// Of the text.
    Textual,
}

/// What fresh alarm embeddings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Initial {
    /// All zero, as in the official code.
    #[default]
    Zero,
    /// Independent draws from a normal distribution around zero.
    Normal {
        /// Its standard deviation.
        std: f64,
    },
    /// The mean of the embedding table's rows, both the same: a place where the decoder expects its
    /// input to be.
    Mean,
}

/// How likely the model finds each modality harmful, in 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlarmScores {
    /// Of the video.
    pub visual: f32,
    /// Of the text.
    pub textual: f32,
}

impl Alarm {
    /// New embeddings for a model of these weights, in their type; no heads.
    ///
    /// # Errors
    /// If the standard deviation is not a finite number of 0 or more.
    pub fn fresh(weights: &Weights, initial: Initial, rng: &mut ChaCha8Rng) -> Result<Self> {
        let table = weights.embed_tokens(); // [V, E]
        let width = table.dim(1)?;
        let mut embedding = || -> Result<Tensor> {
            match initial {
                Initial::Zero => Ok(Tensor::zeros((1, width), table.dtype(), table.device())?),
                Initial::Normal { std } if std.is_finite() && std >= 0.0 => {
                    let values: Vec<f32> = (0..width)
                        .map(|_| (standard_normal(rng) * std) as f32)
                        .collect();
                    let values = Tensor::from_vec(values, (1, width), table.device())?;
                    Ok(values.to_dtype(table.dtype())?)
                }
                Initial::Normal { std } => Err(Error::Input(format!(
                    "std of the alarm embeddings is {std}, it must be 0 or more"
                ))),
                Initial::Mean => {
                    let wide = table.detach().to_dtype(DType::F32)?;
                    Ok(wide.mean_keepdim(0)?.to_dtype(table.dtype())?)
                }
            }
        };
        Ok(Self {
            visual_embedding: embedding()?,
            textual_embedding: embedding()?,
            heads: None,
        })
    }

    /// The same embeddings with fresh heads in place of any: weights and biases uniform in `±1/√E`, as
    /// PyTorch's `nn.Linear`.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn with_heads(self, rng: &mut ChaCha8Rng) -> Result<Self> {
        let embedding = &self.visual_embedding;
        let (width, dtype) = (embedding.dim(1)?, embedding.dtype());
        let bound = 1.0 / (width as f64).sqrt();
        let mut uniform = |shape: &[usize]| -> Result<Tensor> {
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|_| rng.random_range(-bound..bound) as f32)
                .collect();
            Ok(Tensor::from_vec(values, shape, embedding.device())?.to_dtype(dtype)?)
        };
        let mut head = || -> Result<Linear> {
            let weight = uniform(&[1, width])?;
            Ok(Linear::new(weight, Some(uniform(&[1])?)))
        };
        let (visual, textual) = (head()?, head()?);
        Ok(Self {
            heads: Some(Heads { visual, textual }),
            ..self
        })
    }

    /// Whether it can tell harmful from safe.
    pub fn has_heads(&self) -> bool {
        self.heads.is_some()
    }

    /// Reads `alarm.safetensors` of a checkpoint folder; nothing if the model has no alarm tokens.
    ///
    /// # Errors
    /// If the file is there and a tensor is missing or has the wrong shape.
    pub fn open(
        folder: &Path,
        width: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let file = map(&path)?;
        let get = |name: &str, expected: &[usize]| -> Result<Tensor> {
            let view = file.get(name).map_err(|_| Error::MissingTensor {
                name: name.to_owned(),
                expected: expected.to_vec(),
                folder: path.clone(),
                looked_for: vec![name.to_owned()],
            })?;
            if view.shape() != expected {
                return Err(Error::WrongShape {
                    name: name.to_owned(),
                    file: path.clone(),
                    expected: expected.to_vec(),
                    found: view.shape().to_vec(),
                });
            }
            Ok(file.load(name, device)?.to_dtype(dtype)?)
        };
        let head = |name: &str| -> Result<Linear> {
            let weight = get(&format!("{name}.weight"), &[1, width])?;
            Ok(Linear::new(
                weight,
                Some(get(&format!("{name}.bias"), &[1])?),
            ))
        };
        let has_heads =
            file.get("visual_head.weight").is_ok() || file.get("textual_head.weight").is_ok();
        let heads = if has_heads {
            Some(Heads {
                visual: head("visual_head")?,
                textual: head("textual_head")?,
            })
        } else {
            None
        };
        Ok(Some(Self {
            visual_embedding: get("visual_alarm_embedding", &[1, width])?,
            textual_embedding: get("textual_alarm_embedding", &[1, width])?,
            heads,
        }))
    }

    /// Writes `alarm.safetensors` into `folder`, aside first and then renamed.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let tensors = self.iter().map(|(name, tensor)| (name.to_owned(), tensor));
        write(tensors.collect(), &folder.join(FILE))
    }

    /// Every tensor with its name in the file.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        let heads = self.heads.as_ref();
        let of = |name, part: fn(&Heads) -> Option<&Tensor>| Some((name, part(heads?)?));
        [
            Some(("visual_alarm_embedding", &self.visual_embedding)),
            Some(("textual_alarm_embedding", &self.textual_embedding)),
            of("visual_head.weight", |heads| Some(&heads.visual.weight)),
            of("visual_head.bias", |heads| heads.visual.bias.as_ref()),
            of("textual_head.weight", |heads| Some(&heads.textual.weight)),
            of("textual_head.bias", |heads| heads.textual.bias.as_ref()),
        ]
        .into_iter()
        .flatten()
    }

    /// Makes the tensors that `trainable` picks into variables: the same alarm for a model built with
    /// it, and the variables by name for an optimizer.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn into_trainable(
        mut self,
        trainable: impl Fn(&str) -> bool,
    ) -> Result<(Self, BTreeMap<String, Var>)> {
        let mut variables = BTreeMap::new();
        for (name, tensor) in self.iter_mut() {
            if trainable(name) {
                let variable = Var::from_tensor(tensor)?;
                *tensor = variable.as_tensor().clone();
                variables.insert(name.to_owned(), variable);
            }
        }
        Ok((self, variables))
    }

    /// The same parts, variables always at their newest value, of which no gradient can be asked.
    #[must_use]
    pub fn untracked(&self) -> Self {
        let mut all = self.clone();
        for (_, tensor) in all.iter_mut() {
            *tensor = tensor.detach();
        }
        all
    }

    /// The same parts but for those that `others` has too, which are taken from there.
    #[must_use]
    pub fn replaced(&self, others: &BTreeMap<String, Tensor>) -> Self {
        let mut all = self.clone();
        for (name, tensor) in all.iter_mut() {
            if let Some(other) = others.get(name) {
                *tensor = other.clone();
            }
        }
        all
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Tensor)> {
        let mut list = vec![
            ("visual_alarm_embedding", &mut self.visual_embedding),
            ("textual_alarm_embedding", &mut self.textual_embedding),
        ];
        if let Some(Heads { visual, textual }) = &mut self.heads {
            list.push(("visual_head.weight", &mut visual.weight));
            list.push(("textual_head.weight", &mut textual.weight));
            list.extend(visual.bias.iter_mut().map(|b| ("visual_head.bias", b)));
            list.extend(textual.bias.iter_mut().map(|b| ("textual_head.bias", b)));
        }
        list.into_iter()
    }

    /// Logits of harm `[N]` of final hidden states `[N, E]` at that alarm's positions, with gradients
    /// where heads or states have them; nothing where the model has no heads.
    ///
    /// # Errors
    /// If the states are not as wide as the heads.
    pub fn logits(&self, modality: Modality, rows: &Tensor) -> Result<Option<Tensor>> {
        let head = self.heads.as_ref().map(|heads| match modality {
            Modality::Visual => &heads.visual,
            Modality::Textual => &heads.textual,
        });
        let logits = head.map(|head| head.forward(rows)?.squeeze(1));
        Ok(logits.transpose()?)
    }

    /// P(harmful) of each modality from the final hidden states `[1, S, E]` of one prompt; nothing
    /// where the model has no heads.
    ///
    /// # Errors
    /// If a position is outside the sequence.
    pub fn scores(
        &self,
        hidden: &Tensor,
        visual: usize,
        textual: usize,
    ) -> Result<Option<AlarmScores>> {
        let (_, length, _) = hidden.dims3()?;
        let score = |modality: Modality, position: usize| -> Result<Option<f32>> {
            if position >= length {
                return Err(Error::Input(format!(
                    "alarm position {position} is outside a sequence of {length} tokens"
                )));
            }
            let row = hidden.get(0)?.narrow(0, position, 1)?;
            let Some(logits) = self.logits(modality, &row)? else {
                return Ok(None);
            };
            let logit = logits.to_dtype(DType::F32)?.to_vec1::<f32>()?[0];
            Ok(Some(1.0 / (1.0 + (-logit).exp())))
        };
        let scores = (
            score(Modality::Visual, visual)?,
            score(Modality::Textual, textual)?,
        );
        Ok(match scores {
            (Some(visual), Some(textual)) => Some(AlarmScores { visual, textual }),
            _ => None,
        })
    }
}
