//! `config.json` in both layouts: the port's (`video_llama_3`, nested `text_config` and
//! `vision_config`) and the original's (`videollama3_qwen2`, the language model's keys at the top
//! and `vision_encoder_config` beside them).

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

mod raw;

use raw::{RawText, RawVision};

/// Whose names and layout a checkpoint uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `transformers`' port: `model.language_model.*`, `model.vision_model.*`, `model.projector.*`.
    Port,
    /// The original remote code: `model.*`, `model.vision_encoder.*`, `model.mm_projector.*`.
    Original,
}

/// The Qwen2 decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Width, E.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads, H.
    pub num_attention_heads: usize,
    /// Key and value heads; H is a multiple of it.
    pub num_key_value_heads: usize,
    /// Width of one head, D.
    pub head_dim: usize,
    /// Vocabulary, V.
    pub vocab_size: usize,
    /// Inside the root of RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Longest sequence the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// Whether the output layer is the embedding table.
    pub tie_word_embeddings: bool,
}

/// The vision encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Width, D.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// 3 for RGB.
    pub num_channels: usize,
    /// Side of a patch in pixels, P.
    pub patch_size: usize,
    /// Inside the root of LayerNorm.
    pub layer_norm_eps: f64,
    /// Base of the 2-D rotary frequencies.
    pub rope_theta: f64,
}

/// A whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The decoder.
    pub text: TextConfig,
    /// The vision encoder.
    pub vision: VisionConfig,
    /// Stands for one vision token of an image in the prompt.
    pub image_token_id: u32,
    /// Stands for one vision token of a video; the original has one id for both.
    pub video_token_id: u32,
    /// Whose names and layout.
    pub layout: Layout,
}

impl Config {
    /// Reads `config.json` of a checkpoint folder.
    ///
    /// # Errors
    /// If the file is absent, is of another architecture, or asks for what this crate does not have.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        let value: Value = serde_json::from_str(&text).map_err(|error| Error::Checkpoint {
            path: path.clone(),
            reason: format!("not JSON: {error}"),
        })?;
        Self::from_json(&value).map_err(|reason| Error::Checkpoint { path, reason })
    }

    /// Reads either layout; the error says what is wrong.
    pub(crate) fn from_json(value: &Value) -> std::result::Result<Self, String> {
        let model_type = value
            .get("model_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match model_type {
            "video_llama_3" => port(value),
            "videollama3_qwen2" | "videollama3" => original(value),
            other => Err(format!(
                "model_type {other:?} is not a VideoLLaMA3 (video_llama_3 or videollama3_qwen2)"
            )),
        }
    }

    /// `config.json` in the port's layout, as `transformers` reads it.
    pub fn to_port_json(&self) -> Value {
        let (text, vision) = (&self.text, &self.vision);
        serde_json::json!({
            "architectures": ["VideoLlama3ForConditionalGeneration"],
            "model_type": "video_llama_3",
            "dtype": "float32",
            "image_token_id": self.image_token_id,
            "video_token_id": self.video_token_id,
            "tie_word_embeddings": text.tie_word_embeddings,
            "text_config": {
                "model_type": "qwen2",
                "hidden_size": text.hidden_size,
                "intermediate_size": text.intermediate_size,
                "num_hidden_layers": text.num_hidden_layers,
                "num_attention_heads": text.num_attention_heads,
                "num_key_value_heads": text.num_key_value_heads,
                "head_dim": text.head_dim,
                "vocab_size": text.vocab_size,
                "rms_norm_eps": text.rms_norm_eps,
                "rope_parameters": {"rope_type": "default", "rope_theta": text.rope_theta},
                "max_position_embeddings": text.max_position_embeddings,
                "tie_word_embeddings": text.tie_word_embeddings,
                "hidden_act": "silu",
            },
            "vision_config": {
                "model_type": "video_llama_3_vision",
                "hidden_size": vision.hidden_size,
                "intermediate_size": vision.intermediate_size,
                "num_hidden_layers": vision.num_hidden_layers,
                "num_attention_heads": vision.num_attention_heads,
                "num_channels": vision.num_channels,
                "patch_size": vision.patch_size,
                "layer_norm_eps": vision.layer_norm_eps,
                "hidden_act": "gelu_pytorch_tanh",
                "rope_parameters": {"rope_type": "axial", "rope_theta": vision.rope_theta},
            },
        })
    }
}

fn port(value: &Value) -> std::result::Result<Config, String> {
    let section = |key: &str| {
        value
            .get(key)
            .cloned()
            .ok_or_else(|| format!("`{key}` is missing"))
    };
    let text: RawText =
        serde_json::from_value(section("text_config")?).map_err(|e| format!("text_config: {e}"))?;
    let vision: RawVision = serde_json::from_value(section("vision_config")?)
        .map_err(|e| format!("vision_config: {e}"))?;
    let tied = value
        .get("tie_word_embeddings")
        .and_then(Value::as_bool)
        .unwrap_or(false)
        || text.tie_word_embeddings.unwrap_or(false);
    Ok(Config {
        text: text.checked(tied)?,
        vision: vision.checked()?,
        image_token_id: id(value, "image_token_id")?.unwrap_or(151_655),
        video_token_id: id(value, "video_token_id")?.unwrap_or(151_656),
        layout: Layout::Port,
    })
}

fn original(value: &Value) -> std::result::Result<Config, String> {
    let text: RawText = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
    let vision = value
        .get("vision_encoder_config")
        .cloned()
        .ok_or("`vision_encoder_config` is missing: the vision encoder's sizes are unknown")?;
    let vision: RawVision =
        serde_json::from_value(vision).map_err(|e| format!("vision_encoder_config: {e}"))?;
    let projector = value
        .get("mm_projector_type")
        .and_then(Value::as_str)
        .unwrap_or("mlp2x_gelu");
    if projector != "mlp2x_gelu" {
        return Err(format!(
            "mm_projector_type {projector:?} is not supported, only mlp2x_gelu"
        ));
    }
    let tied = text.tie_word_embeddings.unwrap_or(false);
    let image = id(value, "image_token_index")?.unwrap_or(151_665);
    Ok(Config {
        text: text.checked(tied)?,
        vision: vision.checked()?,
        image_token_id: image,
        video_token_id: image,
        layout: Layout::Original,
    })
}

fn id(value: &Value, key: &str) -> std::result::Result<Option<u32>, String> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => found
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .map(Some)
            .ok_or_else(|| format!("`{key}` is {found}, not a token id")),
    }
}
