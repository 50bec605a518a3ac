//! The whole network: vision encoder, projector, decoder and output layer.

// B batch, S sequence, E width, V vocabulary, N patches, D patch width, m merge size

use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::alarm::Alarm;
use crate::config::Config;
use crate::decoder::{Cache, Decoder, LeftPadding};
use crate::error::{Error, Result};
use crate::lora::Adapter;
use crate::ops::Linear;
use crate::packing::Packing;
use crate::processor::VisionInput;
use crate::projector::Projector;
use crate::recompute::Recompute;
use crate::sequence::Sequence;
use crate::vision::VisionModel;
use crate::weights::Weights;

/// A VideoLLaMA3 of any size.
#[derive(Clone, Debug)]
pub struct VideoLlama3 {
    config: Config,
    vision_model: VisionModel,
    projector: Projector,
    decoder: Decoder,
    embed_tokens: Tensor,
    lm_head: Linear,
    alarm: Option<Alarm>,
}

impl VideoLlama3 {
    /// Opens a Hugging Face checkpoint folder of either layout.
    ///
    /// # Errors
    /// Names the file, the tensor, and what was expected and found.
    pub fn open(folder: &Path, dtype: DType, device: &Device) -> Result<Self> {
        let config = Config::open(folder)?;
        let weights = Weights::open(folder, &config, dtype, device)?;
        let alarm = Alarm::open(folder, config.text.hidden_size, dtype, device)?;
        Self::new(config, &weights, alarm)
    }

    /// A model over `weights`; where those are variables, its results carry gradients.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn new(config: Config, weights: &Weights, alarm: Option<Alarm>) -> Result<Self> {
        let embed_tokens = weights.get("model.language_model.embed_tokens.weight");
        let lm_head = if config.text.tie_word_embeddings {
            embed_tokens.clone()
        } else {
            weights.get("lm_head.weight")
        };
        Ok(Self {
            vision_model: VisionModel::new(&config.vision, weights)?,
            projector: Projector::new(weights),
            decoder: Decoder::new(&config.text, weights),
            embed_tokens,
            lm_head: Linear::new(lm_head, None),
            alarm,
            config,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its alarm tokens and heads, where it has them.
    pub fn alarm(&self) -> Option<&Alarm> {
        self.alarm.as_ref()
    }

    /// The same network, sharing its weights, in which adapters drop some of their input. What is
    /// dropped depends on `seed` and the layer alone: a network for one micro-batch. A network that
    /// this was not called on never drops.
    pub fn with_dropout(&self, seed: u64) -> Self {
        let mut network = self.clone();
        for adapter in network.adapters_mut() {
            adapter.drop_by(seed);
        }
        network
    }

    /// The network that its adapters were put on, sharing its weights.
    pub fn without_lora(&self) -> Self {
        let mut network = self.clone();
        for linear in network.linears_mut() {
            linear.adapter = None;
        }
        network
    }

    fn adapters_mut(&mut self) -> impl Iterator<Item = &mut Adapter> {
        self.linears_mut()
            .filter_map(|linear| linear.adapter.as_mut())
    }

    fn linears_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        self.vision_model
            .linears_mut()
            .chain(self.projector.linears_mut())
            .chain(self.decoder.linears_mut())
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        self.embed_tokens.device()
    }

    /// An empty key-value cache with room for `positions`; it grows beyond.
    pub fn cache(&self, positions: usize) -> Cache {
        Cache::new(&self.config.text, positions)
    }

    /// Vision tokens `[kept, E]` of one image or video, those dropped by compression left out.
    ///
    /// # Errors
    /// If the input does not fit the model's patches.
    pub fn features(&self, input: &VisionInput) -> Result<Tensor> {
        let side = self.config.vision.patch_size;
        let patch = self.config.vision.num_channels * side * side;
        if input.patch_dim != patch {
            let found = input.patch_dim;
            return Err(Error::Input(format!(
                "the processor makes patches of {found} numbers, the vision encoder reads {patch}: \
                 check patch_size in preprocessor_config.json and config.json"
            )));
        }
        let patches = input.pixel_values.len() / patch;
        let pixels = Tensor::from_slice(&input.pixel_values, (patches, patch), self.device())?;
        let pixels = pixels.to_dtype(self.embed_tokens.dtype())?;
        let merged = self
            .vision_model
            .forward(&pixels, input.grid, input.merge)?; // [N/m², D]
        // Dropping before projecting gives the same tokens and projects fewer.
        let kept: Vec<u32> = (0u32..)
            .zip(&input.keep)
            .filter_map(|(index, keep)| keep.then_some(index))
            .collect();
        let kept_count = kept.len();
        let merged = if kept_count == input.keep.len() {
            merged
        } else {
            merged.index_select(&Tensor::from_vec(kept, kept_count, self.device())?, 0)?
        };
        self.projector.forward(&merged)
    }

    /// Embeddings `[S, E]` of a sequence: its tokens, with vision tokens and alarm embeddings in
    /// their places. `features` has one entry for each vision span of the sequence, in order.
    ///
    /// # Errors
    /// If a token is outside the vocabulary, or spans and features do not agree.
    pub fn embed(&self, sequence: &Sequence, features: &[Tensor]) -> Result<Tensor> {
        let ids = &sequence.input_ids;
        let vocabulary = self.config.text.vocab_size;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
            return Err(Error::Input(format!(
                "token {id} is outside the model's vocabulary of {vocabulary}: \
                 tokenizer.json and config.json do not belong together"
            )));
        }
        let ids = Tensor::from_slice(ids, ids.len(), self.device())?;
        let tokens = self.embed_tokens.index_select(&ids, 0)?; // [S, E]
        let replaced = self.replacements(sequence, features)?;
        if replaced.is_empty() {
            return Ok(tokens);
        }
        let mut parts = Vec::with_capacity(2 * replaced.len() + 1);
        let mut done = 0;
        for (start, rows) in replaced {
            if start > done {
                parts.push(tokens.narrow(0, done, start - done)?);
            }
            done = start + rows.dim(0)?;
            parts.push(rows);
        }
        let length = sequence.input_ids.len();
        if done < length {
            parts.push(tokens.narrow(0, done, length - done)?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// What stands in place of token embeddings: rows and where they begin, in order, disjoint.
    fn replacements(
        &self,
        sequence: &Sequence,
        features: &[Tensor],
    ) -> Result<Vec<(usize, Tensor)>> {
        let mut places: Vec<(usize, Tensor)> = Vec::new();
        let spans: usize = sequence.vision.iter().map(Vec::len).sum();
        if sequence.vision.len() != features.len() {
            let (expected, found) = (sequence.vision.len(), features.len());
            return Err(Error::Input(format!(
                "the prompt shows {expected} media, {found} were encoded"
            )));
        }
        places.reserve(spans + 2);
        for (media, rows) in sequence.vision.iter().zip(features) {
            let mut taken = 0;
            for span in media {
                let count = span.end - span.start;
                if taken + count > rows.dim(0)? {
                    return Err(Error::Input(
                        "the prompt has more vision tokens than the media".to_owned(),
                    ));
                }
                places.push((span.start, rows.narrow(0, taken, count)?));
                taken += count;
            }
            if taken != rows.dim(0)? {
                return Err(Error::Input(
                    "the prompt has fewer vision tokens than the media".to_owned(),
                ));
            }
        }
        if let (Some(positions), Some(alarm)) = (&sequence.alarm, &self.alarm) {
            places.push((positions.visual, alarm.visual_embedding.clone()));
            places.push((positions.textual, alarm.textual_embedding.clone()));
        }
        places.sort_by_key(|(start, _)| *start);
        Ok(places)
    }

    /// Final hidden states `[B, S, E]` of embeddings `[B, S, E]`; see [`Cache`] and [`LeftPadding`].
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn hidden(
        &self,
        embeddings: &Tensor,
        padding: Option<&LeftPadding>,
        cache: Option<&mut Cache>,
    ) -> Result<Tensor> {
        self.decoder.forward(embeddings, padding, cache)
    }

    /// Final hidden states `[S, E]` of a packed row of embeddings `[S, E]`: each segment's are those it
    /// would have alone after its prefix. With `recompute`, decoder blocks keep only their inputs, and
    /// the gradients of their weights are collected there.
    ///
    /// # Errors
    /// If the segments do not make the row, or a tensor operation fails.
    pub fn hidden_packed(
        &self,
        embeddings: &Tensor,
        packing: &Packing,
        recompute: Option<&Recompute>,
    ) -> Result<Tensor> {
        self.decoder.packed(embeddings, packing, recompute)
    }

    /// Token embeddings `[B, 1, E]` of one next token for each row.
    ///
    /// # Errors
    /// If a token is outside the vocabulary.
    pub fn embed_next(&self, tokens: &[u32]) -> Result<Tensor> {
        let ids = Tensor::from_slice(tokens, tokens.len(), self.device())?;
        Ok(self.embed_tokens.index_select(&ids, 0)?.unsqueeze(1)?)
    }

    /// Logits `[.., V]` of hidden states `[.., E]`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.lm_head.forward(hidden)?)
    }

    /// The output layer `[V, E]`, for losses that never hold all logits at once.
    pub fn lm_head(&self) -> &Tensor {
        &self.lm_head.weight
    }
}
