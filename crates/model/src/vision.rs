//! The vision encoder: patches become patch features. Attention is bidirectional and stays inside
//! a frame; positions are 2-D RoPE, so any resolution fits.
//!
//! Source: `transformers` `models/video_llama_3/modeling_video_llama_3.py`, `VideoLlama3VisionModel`.

// T frames, h × w patches a frame, N = T·h·w patches, m merge size, D vision width, A heads, K head width

use candle_core::{D, Device, Tensor};

use crate::config::VisionConfig;
use crate::error::Result;
use crate::ops::{LayerNorm, Linear, rope, softmax};
use crate::weights::Weights;

/// Grid of one image or video in patches: frames, rows, columns.
pub type Grid = [usize; 3];

#[derive(Clone, Debug)]
struct Block {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// The vision encoder.
#[derive(Clone, Debug)]
pub(crate) struct VisionModel {
    patch_embedding: Linear,
    blocks: Vec<Block>,
    post_layernorm: LayerNorm,
    config: VisionConfig,
}

/// Patches whose attention is computed at once: bounds the memory of the score matrices.
const ATTENTION_BYTES: usize = 256 << 20;

impl VisionModel {
    pub(crate) fn new(config: &VisionConfig, weights: &Weights) -> Result<Self> {
        let root = "model.vision_model";
        let linear = |name: &str| weights.linear(name);
        let norm = |name: &str| LayerNorm {
            weight: weights.get(&format!("{name}.weight")),
            bias: weights.get(&format!("{name}.bias")),
            eps: config.layer_norm_eps,
        };
        let patch = linear(&format!("{root}.embeddings.patch_embedding"));
        // A convolution whose stride is its kernel is a linear layer over each patch.
        let patch_embedding = Linear::new(patch.weight.flatten_from(1)?, patch.bias);
        let blocks = (0..config.num_hidden_layers)
            .map(|layer| {
                let block = format!("{root}.encoder.layers.{layer}");
                Block {
                    layer_norm1: norm(&format!("{block}.layer_norm1")),
                    q_proj: linear(&format!("{block}.self_attn.q_proj")),
                    k_proj: linear(&format!("{block}.self_attn.k_proj")),
                    v_proj: linear(&format!("{block}.self_attn.v_proj")),
                    out_proj: linear(&format!("{block}.self_attn.out_proj")),
                    layer_norm2: norm(&format!("{block}.layer_norm2")),
                    fc1: linear(&format!("{block}.mlp.fc1")),
                    fc2: linear(&format!("{block}.mlp.fc2")),
                }
            })
            .collect();
        Ok(Self {
            patch_embedding,
            blocks,
            post_layernorm: norm(&format!("{root}.post_layernorm")),
            config: config.clone(),
        })
    }

    /// The linear layers of its blocks.
    pub(crate) fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.blocks.iter_mut().flat_map(|block| {
            [
                &mut block.q_proj,
                &mut block.k_proj,
                &mut block.v_proj,
                &mut block.out_proj,
                &mut block.fc1,
                &mut block.fc2,
            ]
        })
    }

    /// Patch features of one image or video after the merge: `[N/m², D]`, block by block.
    /// `pixel_values` is `[N, 3·P·P]` in the order of merge blocks.
    pub(crate) fn forward(
        &self,
        pixel_values: &Tensor,
        grid: Grid,
        merge: usize,
    ) -> Result<Tensor> {
        let [frames, rows, columns] = grid;
        let (cos, sin) = self.angles(rows, columns, merge, pixel_values.device())?;
        let hidden = self.patch_embedding.forward(pixel_values)?; // [N, D]
        let mut hidden = hidden.reshape((frames, rows * columns, self.config.hidden_size))?;
        for block in &self.blocks {
            hidden = self.block(block, &hidden, &cos, &sin)?;
        }
        let hidden = self.post_layernorm.forward(&hidden)?;
        downsample(&hidden, grid, merge)
    }

    fn block(&self, block: &Block, hidden: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
        let (frames, patches, width) = hidden.dims3()?;
        let heads = self.config.num_attention_heads;
        let normed = block.layer_norm1.forward(hidden)?;
        let split = |x: Tensor| {
            x.reshape((frames, patches, heads, width / heads))?
                .transpose(1, 2)?
                .contiguous()
        };
        let q = rope(&split(block.q_proj.forward(&normed)?)?, cos, sin)?; // [T, A, hw, K]
        let k = rope(&split(block.k_proj.forward(&normed)?)?, cos, sin)?;
        let v = split(block.v_proj.forward(&normed)?)?;
        let q = (q * (1.0 / ((width / heads) as f64).sqrt()))?;
        let attended = attend(&q, &k, &v)?;
        let attended = attended
            .transpose(1, 2)?
            .reshape((frames, patches, width))?;
        let hidden = (hidden + block.out_proj.forward(&attended)?)?;
        let normed = block.layer_norm2.forward(&hidden)?;
        let inner = block.fc1.forward(&normed)?.gelu()?;
        Ok((hidden + block.fc2.forward(&inner)?)?)
    }

    /// Cosines and sines `[hw, K/2]` of the row's angles, then the column's, for the patches of a
    /// frame in the order of merge blocks.
    fn angles(
        &self,
        rows: usize,
        columns: usize,
        merge: usize,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        let spatial = self.config.hidden_size / self.config.num_attention_heads / 2;
        let frequencies: Vec<f32> = (0..spatial)
            .step_by(2)
            .map(|i| 1.0 / (self.config.rope_theta as f32).powf(i as f32 / spatial as f32))
            .collect();
        let mut angles = Vec::with_capacity(rows * columns * spatial);
        for (row, column) in block_order(rows, columns, merge) {
            angles.extend(frequencies.iter().map(|f| row as f32 * f));
            angles.extend(frequencies.iter().map(|f| column as f32 * f));
        }
        let angles = Tensor::from_vec(angles, (rows * columns, spatial), device)?;
        Ok((angles.cos()?, angles.sin()?))
    }
}

/// Attention inside each frame, a few frames at a time. All `[T, A, hw, K]`, `q` already scaled.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let (frames, heads, patches, _) = q.dims4()?;
    let step = (ATTENTION_BYTES / (heads * patches * patches * 4).max(1)).clamp(1, frames);
    let parts = (0..frames)
        .step_by(step)
        .map(|start| {
            let count = step.min(frames - start);
            let of = |x: &Tensor| x.narrow(0, start, count);
            let scores = of(q)?.matmul(&of(k)?.transpose(D::Minus2, D::Minus1)?)?;
            softmax(&scores)?.matmul(&of(v)?)
        })
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok(if parts.len() == 1 {
        parts[0].clone()
    } else {
        Tensor::cat(&parts, 0)?
    })
}

/// Rows and columns of a frame's patches, merge block by merge block.
fn block_order(rows: usize, columns: usize, merge: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows / merge).flat_map(move |block_row| {
        (0..columns / merge).flat_map(move |block_column| {
            (0..merge).flat_map(move |y| {
                (0..merge).map(move |x| (block_row * merge + y, block_column * merge + x))
            })
        })
    })
}

/// Bilinear downsampling by `merge` without aligned corners: of each merge block, the mean of the
/// one or four patches around its centre. `[T, hw, D]` in block order to `[T·hw/m², D]`.
fn downsample(hidden: &Tensor, [frames, rows, columns]: Grid, merge: usize) -> Result<Tensor> {
    let width = hidden.dim(D::Minus1)?;
    let blocks = frames * rows * columns / (merge * merge);
    let hidden = hidden.reshape((blocks, merge * merge, width))?;
    // The centre of a block of odd side is a patch; of even side, the corner of four.
    let low = (merge - 1) / 2;
    let high = merge / 2;
    let at = |y: usize, x: usize| hidden.narrow(1, y * merge + x, 1);
    let sum = if low == high {
        at(low, low)?
    } else {
        let (top, bottom) = (
            (at(low, low)? + at(low, high)?)?,
            (at(high, low)? + at(high, high)?)?,
        );
        ((top + bottom)? * 0.25)?
    };
    Ok(sum.reshape((blocks, width))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_counted_block_by_block() {
        let order: Vec<_> = block_order(2, 4, 2).collect();
        let want = [
            (0, 0),
            (0, 1),
            (1, 0),
            (1, 1),
            (0, 2),
            (0, 3),
            (1, 2),
            (1, 3),
        ];
        assert_eq!(order, want);
    }

    #[track_caller]
    fn check_downsample(merge: usize, want: f32) {
        let side = merge as u32;
        let values = Tensor::arange(0u32, side * side, &Device::Cpu).unwrap();
        let values = values.to_dtype(candle_core::DType::F32).unwrap();
        let hidden = values.reshape((1, merge * merge, 1)).unwrap();
        let out = downsample(&hidden, [1, merge, merge], merge).unwrap();
        assert_eq!(out.to_vec2::<f32>().unwrap(), [[want]]);
    }

    #[test]
    fn a_merge_of_one_keeps_each_patch() {
        check_downsample(1, 0.0);
    }

    #[test]
    fn a_merge_of_two_is_the_mean() {
        check_downsample(2, 1.5);
    }

    #[test]
    fn a_merge_of_three_is_the_middle() {
        check_downsample(3, 4.0);
    }

    #[test]
    fn a_merge_of_eight_is_the_mean_of_the_middle_four() {
        check_downsample(8, (27 + 28 + 35 + 36) as f32 / 4.0);
    }
}
