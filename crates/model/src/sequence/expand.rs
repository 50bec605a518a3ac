//! Placeholders of the rendered prompt, repeated for every vision token.

use std::fmt::Write;

use super::Kept;
use super::words::GUARD_START;
use crate::config::Layout;
use crate::error::{Error, Result};
use crate::template::Shown;
use crate::tokenizer::Tokenizer;

/// What stands for vision tokens in a rendered prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholders {
    /// The port: `<|image_pad|>` for an image, `<|video_pad|>` for a video.
    Media {
        /// Id of `<|image_pad|>`.
        image: u32,
        /// Id of `<|video_pad|>`.
        video: u32,
    },
    /// The original: `<image>` for every frame.
    Frames {
        /// Id of `<image>`.
        image: u32,
    },
}

impl Placeholders {
    /// The tokens of `layout`, which `tokenizer` must have with the ids of the model's configuration.
    ///
    /// # Errors
    /// If it has not.
    pub fn of(tokenizer: &Tokenizer, layout: Layout, [image, video]: [u32; 2]) -> Result<Self> {
        let placeholders = match layout {
            Layout::Port => Self::Media { image, video },
            Layout::Original => Self::Frames { image },
        };
        let ids = [image, video];
        for (token, id) in placeholders.tokens().into_iter().zip(ids) {
            if tokenizer.id(token) != Some(id) {
                let found = tokenizer
                    .id(token)
                    .map_or("absent".to_owned(), |id| id.to_string());
                return Err(Error::Input(format!(
                    "{token} is {found} in tokenizer.json and {id} in config.json: they do not belong together"
                )));
            }
        }
        Ok(placeholders)
    }

    /// The tokens for an image and for a video.
    pub fn tokens(&self) -> [&'static str; 2] {
        match self {
            Self::Media { .. } => ["<|image_pad|>", "<|video_pad|>"],
            Self::Frames { .. } => ["<image>", "<image>"],
        }
    }

    /// Their ids.
    pub fn ids(&self) -> [u32; 2] {
        match *self {
            Self::Media { image, video } => [image, video],
            Self::Frames { image } => [image, image],
        }
    }
}

/// A rendered prompt with its placeholders repeated, and where its bytes went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The text.
    pub text: String,
    /// End of each placeholder in the rendered prompt and of its replacement in `text`.
    ends: Vec<(usize, usize)>,
}

impl Expansion {
    /// Expands `rendered`, whose placeholders belong to `media` in this order.
    ///
    /// The port (`replace_video_token` of `processing_video_llama_3.py`) writes
    /// `Time {seconds:.1f}s:` before each frame's tokens and commas between frames; in the
    /// original that is the template's work.
    pub(super) fn new(
        rendered: &str,
        media: &[&Kept],
        placeholders: &Placeholders,
    ) -> Result<Self> {
        let replacements = replacements(media, placeholders);
        let mut text = String::with_capacity(rendered.len());
        let mut ends = Vec::with_capacity(replacements.len());
        let (mut done, mut found) = (0, 0);
        while let Some((start, token)) = next_placeholder(rendered, done, placeholders) {
            text.push_str(&rendered[done..start]);
            match replacements.get(found) {
                Some((expected, replacement)) if *expected == token => text.push_str(replacement),
                _ => return Err(disagreement(rendered, &replacements, placeholders)),
            }
            done = start + token.len();
            found += 1;
            ends.push((done, text.len()));
        }
        if found != replacements.len() {
            return Err(disagreement(rendered, &replacements, placeholders));
        }
        text.push_str(&rendered[done..]);
        Ok(Self { text, ends })
    }

    /// Where a byte of the rendered prompt, not inside a placeholder, is in the text.
    pub(super) fn place(&self, rendered: usize) -> usize {
        let before = self.ends.partition_point(|(end, _)| *end <= rendered);
        match before.checked_sub(1).map(|last| self.ends[last]) {
            Some((end, placed)) => placed + (rendered - end),
            None => rendered,
        }
    }
}

fn replacements(media: &[&Kept], placeholders: &Placeholders) -> Vec<(&'static str, String)> {
    let [image, video] = placeholders.tokens();
    let mut list = Vec::with_capacity(media.len());
    for medium in media {
        match (placeholders, &medium.shown) {
            (Placeholders::Frames { .. }, _) => {
                list.extend(
                    medium
                        .per_frame
                        .iter()
                        .map(|&count| (image, image.repeat(count))),
                );
            }
            (Placeholders::Media { .. }, Shown::Image) => {
                list.push((image, image.repeat(medium.per_frame.iter().sum())));
            }
            (Placeholders::Media { .. }, Shown::Video(times)) => {
                let mut text = String::new();
                for (index, (seconds, &count)) in times.iter().zip(&medium.per_frame).enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    // Rust rounds the exact binary value, halves to even, as Python does.
                    write!(text, "{comma}Time {seconds:.1}s:{}", video.repeat(count))
                        .expect("a string takes all that is written");
                }
                list.push((video, text));
            }
        }
    }
    list
}

/// The first placeholder at `from` or later that is not a user's guarded word.
fn next_placeholder(
    text: &str,
    from: usize,
    placeholders: &Placeholders,
) -> Option<(usize, &'static str)> {
    let mut from = from;
    loop {
        let (start, token) = placeholders
            .tokens()
            .into_iter()
            .filter_map(|token| Some((from + text[from..].find(token)?, token)))
            .min_by_key(|(start, _)| *start)?;
        if !text[..start].ends_with(GUARD_START) {
            return Some((start, token));
        }
        from = start + token.len();
    }
}

fn disagreement(rendered: &str, wanted: &[(&str, String)], placeholders: &Placeholders) -> Error {
    let [image, video] = placeholders.tokens();
    let mut found = 0;
    let mut from = 0;
    while let Some((start, token)) = next_placeholder(rendered, from, placeholders) {
        found += 1;
        from = start + token.len();
    }
    let wanted = wanted.len();
    Error::Input(format!(
        "the rendered prompt has {found} placeholders ({image} or {video}) where the images and videos given \
         need {wanted} in their order: either the words of a message contain one, or the chat template is for \
         another model"
    ))
}
