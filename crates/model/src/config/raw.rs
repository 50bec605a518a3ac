//! The sections of `config.json` as they are written, and the checks that make them a [`TextConfig`] or
//! a [`VisionConfig`].

use serde::Deserialize;
use serde_json::Value;

use super::{TextConfig, VisionConfig};

#[derive(Deserialize)]
pub(super) struct RawText {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    #[serde(default = "rms_norm_eps")]
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_parameters: Option<RawRope>,
    rope_scaling: Option<Value>,
    #[serde(default = "max_position_embeddings")]
    max_position_embeddings: usize,
    pub(super) tie_word_embeddings: Option<bool>,
    hidden_act: Option<String>,
    #[serde(default)]
    use_sliding_window: bool,
}

fn rms_norm_eps() -> f64 {
    1e-6
}

fn max_position_embeddings() -> usize {
    32_768
}

#[derive(Deserialize)]
struct RawRope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RawVision {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: Option<usize>,
    patch_size: usize,
    layer_norm_eps: Option<f64>,
    hidden_act: Option<String>,
    rope_parameters: Option<RawRope>,
}

fn positive(fields: &[(&str, usize)]) -> Result<(), String> {
    match fields.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(format!("`{name}` is 0, it must be at least 1")),
        None => Ok(()),
    }
}

impl RawText {
    pub(super) fn checked(self, tie_word_embeddings: bool) -> Result<TextConfig, String> {
        let kv = self.num_key_value_heads.unwrap_or(self.num_attention_heads);
        positive(&[
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", kv),
            ("vocab_size", self.vocab_size),
        ])?;
        if !self.num_attention_heads.is_multiple_of(kv) {
            let heads = self.num_attention_heads;
            return Err(format!(
                "{heads} attention heads are not a multiple of {kv} key-value heads"
            ));
        }
        let head_dim = self
            .head_dim
            .unwrap_or(self.hidden_size / self.num_attention_heads);
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            return Err(format!(
                "head width {head_dim} is not an even number above 0, as RoPE needs"
            ));
        }
        let rope_type = self
            .rope_parameters
            .as_ref()
            .and_then(|rope| rope.rope_type.as_deref());
        if !matches!(rope_type, None | Some("default"))
            || self.rope_scaling.is_some_and(|v| !v.is_null())
        {
            return Err(format!(
                "scaled RoPE ({rope_type:?}) is not supported, only the default"
            ));
        }
        if self.use_sliding_window {
            return Err("sliding-window attention is not supported".to_owned());
        }
        if !matches!(self.hidden_act.as_deref(), None | Some("silu")) {
            return Err(format!(
                "hidden_act {:?} is not supported, only silu",
                self.hidden_act
            ));
        }
        let rope_theta = self
            .rope_parameters
            .and_then(|rope| rope.rope_theta)
            .or(self.rope_theta);
        Ok(TextConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: kv,
            head_dim,
            vocab_size: self.vocab_size,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta: rope_theta.unwrap_or(10_000.0),
            max_position_embeddings: self.max_position_embeddings,
            tie_word_embeddings,
        })
    }
}

impl RawVision {
    pub(super) fn checked(self) -> Result<VisionConfig, String> {
        positive(&[
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("patch_size", self.patch_size),
        ])?;
        let (width, heads) = (self.hidden_size, self.num_attention_heads);
        if !width.is_multiple_of(heads) || !(width / heads).is_multiple_of(4) {
            return Err(format!(
                "vision width {width} over {heads} heads does not give a multiple of 4, as 2-D RoPE needs"
            ));
        }
        if !matches!(self.hidden_act.as_deref(), None | Some("gelu_pytorch_tanh")) {
            return Err(format!(
                "vision hidden_act {:?} is not supported, only gelu_pytorch_tanh",
                self.hidden_act
            ));
        }
        Ok(VisionConfig {
            hidden_size: width,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_channels: self.num_channels.unwrap_or(3),
            patch_size: self.patch_size,
            layer_norm_eps: self.layer_norm_eps.unwrap_or(1e-6),
            rope_theta: self
                .rope_parameters
                .and_then(|rope| rope.rope_theta)
                .unwrap_or(10_000.0),
        })
    }
}
