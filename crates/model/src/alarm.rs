//! Alarm tokens (arXiv 2505.16643, section 4.1): two trainable embeddings that stand in the prompt,
//! and two linear heads that read at their places whether the video and the text are harmful.
//! Stored beside a checkpoint as `alarm.safetensors`; absent in a model that has none.

use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::ops::Linear;
use crate::weights::map;

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

/// How likely the model finds each modality harmful, in 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlarmScores {
    /// Of the video.
    pub visual: f32,
    /// Of the text.
    pub textual: f32,
}

impl Alarm {
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
        let path = folder.join("alarm.safetensors");
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
            Ok(Linear {
                weight: get(&format!("{name}.weight"), &[1, width])?,
                bias: Some(get(&format!("{name}.bias"), &[1])?),
            })
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
        let Some(heads) = &self.heads else {
            return Ok(None);
        };
        let (_, length, _) = hidden.dims3()?;
        let read = |head: &Linear, position: usize| -> Result<f32> {
            if position >= length {
                return Err(Error::Input(format!(
                    "alarm position {position} is outside a sequence of {length} tokens"
                )));
            }
            let logit = head.forward(&hidden.get(0)?.narrow(0, position, 1)?)?;
            let logit = logit
                .to_dtype(DType::F32)?
                .flatten_all()?
                .to_vec1::<f32>()?[0];
            Ok(1.0 / (1.0 + (-logit).exp()))
        };
        Ok(Some(AlarmScores {
            visual: read(&heads.visual, visual)?,
            textual: read(&heads.textual, textual)?,
        }))
    }
}
