//! Examples of unlike length and with unlike media, through the network together.
//!
//! B batch, S longest sequence, E width.

use std::sync::Arc;

use candle_core::Tensor;
use model::{Sequence, VideoLlama3, VisionInput};

use crate::order::Size;

/// One conversation with its media, as the network takes it.
#[derive(Clone, Debug)]
pub struct Example {
    /// Unique in the data.
    pub id: String,
    /// With labels.
    pub sequence: Sequence,
    /// In the order of the sequence's vision spans. Examples about one video share it, and in a batch
    /// it is encoded once.
    pub media: Vec<Shown>,
}

impl Example {
    /// What it costs. Features cost no patches.
    pub fn size(&self) -> Size {
        let patches = self.media.iter().map(|medium| match medium {
            Shown::Patches(input) => input.grid.iter().product(),
            Shown::Features(_) => 0,
        });
        Size {
            tokens: self.sequence.input_ids.len(),
            patches: patches.sum(),
        }
    }
}

/// A video or an image of an example.
#[derive(Clone, Debug)]
pub enum Shown {
    /// As the vision encoder takes it.
    Patches(Arc<VisionInput>),
    /// As the projector gives it, `[kept, E]`: of an encoder and a projector that are not trained.
    Features(Arc<Tensor>),
}

/// Final hidden states `[B, S, E]` of examples padded on the right. Causal attention keeps padding
/// out of what comes before it; what stands at padding means nothing.
///
/// # Errors
/// If media and sequence of an example do not agree, or a tensor operation fails.
pub fn hidden(model: &VideoLlama3, examples: &[&Example]) -> model::Result<Tensor> {
    let features = features(model, examples)?;
    let longest = longest(examples);
    let mut rows = Vec::with_capacity(examples.len());
    for (example, features) in examples.iter().zip(&features) {
        let row = model.embed(&example.sequence, features)?; // [S of this example, E]
        rows.push(row.pad_with_zeros(0, 0, longest - row.dim(0)?)?);
    }
    model.hidden(&Tensor::stack(&rows, 0)?, None, None)
}

/// Tokens of the longest example.
pub fn longest(examples: &[&Example]) -> usize {
    examples
        .iter()
        .map(|example| example.sequence.input_ids.len())
        .max()
        .unwrap_or(0)
}

/// Vision tokens of each medium of each example. Media of one frame size are encoded together, as
/// the frames of one long video: attention stays inside a frame.
pub(crate) fn features(
    model: &VideoLlama3,
    examples: &[&Example],
) -> model::Result<Vec<Vec<Tensor>>> {
    let mut distinct: Vec<&Arc<VisionInput>> = Vec::new();
    for medium in examples.iter().flat_map(|example| &example.media) {
        if let Shown::Patches(medium) = medium
            && !distinct.iter().any(|known| Arc::ptr_eq(known, medium))
        {
            distinct.push(medium);
        }
    }
    let mut encoded: Vec<Option<Tensor>> = vec![None; distinct.len()];
    for first in 0..distinct.len() {
        if encoded[first].is_some() {
            continue;
        }
        let alike: Vec<usize> = (first..distinct.len())
            .filter(|&other| shape(distinct[other]) == shape(distinct[first]))
            .collect();
        let group: Vec<&VisionInput> = alike.iter().map(|&i| distinct[i].as_ref()).collect();
        let together = match group.as_slice() {
            [alone] => model.features(alone)?,
            several => model.features(&joined(several))?,
        };
        let mut start = 0;
        for (&i, medium) in alike.iter().zip(&group) {
            let count = medium.tokens_after();
            encoded[i] = Some(together.narrow(0, start, count)?);
            start += count;
        }
    }
    let of = |medium: &Shown| match medium {
        Shown::Features(features) => features.as_ref().clone(),
        Shown::Patches(medium) => {
            let place = distinct.iter().position(|known| Arc::ptr_eq(known, medium));
            encoded[place.expect("all media were collected")]
                .clone()
                .expect("all media were encoded")
        }
    };
    Ok(examples
        .iter()
        .map(|example| example.media.iter().map(of).collect())
        .collect())
}

/// What has to be the same for media to be encoded together.
fn shape(medium: &VisionInput) -> (usize, usize, usize, usize) {
    let [_, h, w] = medium.grid;
    (h, w, medium.merge, medium.patch_dim)
}

fn joined(media: &[&VisionInput]) -> VisionInput {
    let first = media[0];
    let [_, h, w] = first.grid;
    VisionInput {
        kind: first.kind,
        pixel_values: media
            .iter()
            .flat_map(|medium| &medium.pixel_values)
            .copied()
            .collect(),
        patch_dim: first.patch_dim,
        grid: [media.iter().map(|medium| medium.grid[0]).sum(), h, w],
        merge: first.merge,
        keep: media
            .iter()
            .flat_map(|medium| &medium.keep)
            .copied()
            .collect(),
    }
}
