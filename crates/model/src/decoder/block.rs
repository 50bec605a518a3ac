//! One layer of the decoder around its attention.

use candle_core::Tensor;

use crate::config::TextConfig;
use crate::error::Result;
use crate::ops::{Linear, RmsNorm, swiglu};
use crate::weights::Weights;

#[derive(Clone, Debug)]
pub(super) struct Block {
    input_layernorm: RmsNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    post_attention_layernorm: RmsNorm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

/// What attention is computed from.
pub(super) struct Projected {
    /// `[.., H·D]`.
    pub q: Tensor,
    /// `[.., G·D]`.
    pub k: Tensor,
    /// `[.., G·D]`.
    pub v: Tensor,
}

impl Block {
    pub(super) fn new(config: &TextConfig, weights: &Weights, layer: usize) -> Self {
        let block = format!("model.language_model.layers.{layer}");
        let norm = |name: &str| RmsNorm {
            weight: weights.get(&format!("{block}.{name}.weight")),
            eps: config.rms_norm_eps,
        };
        let linear = |name: &str| weights.linear(&format!("{block}.{name}"));
        Self {
            input_layernorm: norm("input_layernorm"),
            q_proj: linear("self_attn.q_proj"),
            k_proj: linear("self_attn.k_proj"),
            v_proj: linear("self_attn.v_proj"),
            o_proj: linear("self_attn.o_proj"),
            post_attention_layernorm: norm("post_attention_layernorm"),
            gate_proj: linear("mlp.gate_proj"),
            up_proj: linear("mlp.up_proj"),
            down_proj: linear("mlp.down_proj"),
        }
    }

    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 7] {
        [
            &mut self.q_proj,
            &mut self.k_proj,
            &mut self.v_proj,
            &mut self.o_proj,
            &mut self.gate_proj,
            &mut self.up_proj,
            &mut self.down_proj,
        ]
    }

    /// Whether any of its weights asks for a gradient.
    pub(super) fn is_tracked(&self) -> bool {
        let linears = [
            &self.q_proj,
            &self.k_proj,
            &self.v_proj,
            &self.o_proj,
            &self.gate_proj,
            &self.up_proj,
            &self.down_proj,
        ];
        let adapted = |linear: &Linear| {
            let adapter = linear.adapter.as_ref();
            adapter.is_some_and(|adapter| adapter.a.track_op() || adapter.b.track_op())
        };
        self.input_layernorm.weight.track_op()
            || self.post_attention_layernorm.weight.track_op()
            || linears.into_iter().any(|linear| {
                let bias = linear.bias.as_ref();
                linear.weight.track_op() || bias.is_some_and(Tensor::track_op) || adapted(linear)
            })
    }

    /// The same layer, sharing its weights, whose results carry no gradients to them.
    pub(super) fn detached(&self) -> Self {
        let mut block = self.clone();
        for norm in [
            &mut block.input_layernorm,
            &mut block.post_attention_layernorm,
        ] {
            norm.weight = norm.weight.detach();
        }
        for linear in block.linears_mut() {
            linear.weight = linear.weight.detach();
            linear.bias = linear.bias.as_ref().map(Tensor::detach);
            if let Some(adapter) = &mut linear.adapter {
                adapter.a = adapter.a.detach();
                adapter.b = adapter.b.detach();
            }
        }
        block
    }

    /// Hidden states after the layer, `[.., E]` as before it; `attention` gives `[.., H·D]`.
    pub(super) fn forward(
        &self,
        hidden: &Tensor,
        attention: impl FnOnce(Projected) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let normed = self.input_layernorm.forward(hidden)?;
        let attended = attention(Projected {
            q: self.q_proj.forward(&normed)?,
            k: self.k_proj.forward(&normed)?,
            v: self.v_proj.forward(&normed)?,
        })?;
        let hidden = (hidden + self.o_proj.forward(&attended)?)?;
        let normed = self.post_attention_layernorm.forward(&hidden)?;
        let inner = swiglu(
            &self.gate_proj.forward(&normed)?,
            &self.up_proj.forward(&normed)?,
        )?;
        Ok((hidden + self.down_proj.forward(&inner)?)?)
    }
}
