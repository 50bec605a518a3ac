//! Sequences of unlike length joined into one row, through the network together, nothing padded.
//!
//! S tokens of all together, E width.

use candle_core::Tensor;
use model::{Packing, Recompute, Segment, VideoLlama3};

use crate::forward::{Example, features};

/// A row under construction.
#[derive(Default)]
pub struct Row {
    embeddings: Vec<Tensor>,
    segments: Vec<Segment>,
    length: usize,
}

/// A sequence's place in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which segment it is.
    pub segment: usize,
    /// Index of its first token in the row.
    pub start: usize,
    /// Tokens.
    pub length: usize,
}

impl Place {
    /// Index in the row of its last token.
    pub fn last(self) -> usize {
        self.start + self.length - 1
    }
}

impl Row {
    /// Adds embeddings `[n, E]`, which continue the segment `after`, or nothing.
    ///
    /// # Errors
    /// If they are no matrix.
    pub fn add(&mut self, embeddings: Tensor, after: Option<Place>) -> model::Result<Place> {
        let (length, _) = embeddings.dims2()?;
        let place = Place {
            segment: self.segments.len(),
            start: self.length,
            length,
        };
        self.segments.push(Segment {
            length,
            after: after.map(|place| place.segment),
        });
        self.embeddings.push(embeddings);
        self.length += length;
        Ok(place)
    }

    /// Adds an answer that continues the prompt `asked`, but for its last token, which predicts nothing.
    /// Gives the indices of the rows that predict its tokens: the prompt's last row, then its own.
    ///
    /// # Errors
    /// If a token is outside of the vocabulary.
    pub fn answer(
        &mut self,
        model: &VideoLlama3,
        asked: Place,
        tokens: &[u32],
    ) -> model::Result<Vec<u32>> {
        let Some((_, read)) = tokens.split_last() else {
            return Ok(Vec::new());
        };
        let mut rows = vec![asked.last() as u32];
        if !read.is_empty() {
            let embeddings = model.embed_next(read)?.squeeze(1)?; // [n - 1, E]
            let place = self.add(embeddings, Some(asked))?;
            rows.extend((place.start..=place.last()).map(|row| row as u32));
        }
        Ok(rows)
    }

    /// Final hidden states `[S, E]`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn hidden(
        self,
        model: &VideoLlama3,
        recompute: Option<&Recompute>,
    ) -> model::Result<Tensor> {
        let packing = Packing::new(self.segments)?;
        model.hidden_packed(&Tensor::cat(&self.embeddings, 0)?, &packing, recompute)
    }
}

/// Final hidden states of examples next to each other, and where each begins.
///
/// # Errors
/// If media and sequence of an example do not agree, or a tensor operation fails.
pub fn hidden(
    model: &VideoLlama3,
    examples: &[&Example],
    recompute: Option<&Recompute>,
) -> model::Result<(Tensor, Vec<Place>)> {
    let features = features(model, examples)?;
    let mut row = Row::default();
    let mut places = Vec::with_capacity(examples.len());
    for (example, features) in examples.iter().zip(&features) {
        places.push(row.add(model.embed(&example.sequence, features)?, None)?);
    }
    Ok((row.hidden(model, recompute)?, places))
}
