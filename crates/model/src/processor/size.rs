//! The size that an image or a video is brought to before it is cut into patches.
//!
//! Python's arithmetic throughout: division in f64, and `round` takes halves to even.

use crate::error::{Error, Result};

/// Height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub height: u64,
    /// Columns.
    pub width: u64,
}

impl Size {
    fn pixels(self) -> u64 {
        self.height * self.width
    }

    fn each(self, side: impl Fn(f64) -> f64) -> Self {
        Self {
            height: side(self.height as f64) as u64,
            width: side(self.width as f64) as u64,
        }
    }
}

/// The fewest and the most pixels of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Smaller frames grow.
    pub min_pixels: u64,
    /// Larger frames shrink.
    pub max_pixels: u64,
}

/// An aspect ratio above this is refused, as by the port.
const MAX_RATIO: f64 = 200.0;

/// The port's rule (`smart_resize` of `image_processing_video_llama_3.py`): both sides multiples of
/// `factor`, the ratio kept as nearly as that allows, the area within `limits`.
///
/// # Errors
/// If a side is 0, or the longer side is more than 200 times the shorter one.
pub fn port_size(size: Size, factor: u64, limits: Limits) -> Result<Size> {
    check_sides(size)?;
    let (long, short) = (size.height.max(size.width), size.height.min(size.width));
    if long as f64 / short as f64 > MAX_RATIO {
        let Size { height, width } = size;
        return Err(Error::Input(format!(
            "a frame of {width}x{height} is more than {MAX_RATIO} times as long as wide, which the model cannot take: \
             crop it"
        )));
    }
    let factor = factor as f64;
    let rounded = size.each(|side| (side / factor).round_ties_even() * factor);
    if rounded.pixels() > limits.max_pixels {
        let beta = (size.pixels() as f64 / limits.max_pixels as f64).sqrt();
        Ok(size.each(|side| ((side / beta / factor).floor() * factor).max(factor)))
    } else if rounded.pixels() < limits.min_pixels {
        Ok(grown(size, factor, limits.min_pixels))
    } else {
        Ok(rounded)
    }
}

/// One medium, for the original's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How many frames it has.
    pub frames: u64,
    /// Of each frame.
    pub size: Size,
    /// Side of a vision token in pixels.
    pub factor: u64,
}

/// The fewest and the most vision tokens of all media of a prompt together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// Of one frame.
    pub min_tokens: u64,
    /// Of all frames.
    pub max_tokens: u64,
}

/// The original's rule (`simple_batched_resize` and `batched_resize` of
/// `image_processing_videollama3.py`) for all media of one prompt.
///
/// If all have one factor, each frame has an equal share of the tokens; else one scale brings
/// everything within the limit. The original reads the sides of an image in Pillow's form in the
/// wrong order; here they are in the right one.
///
/// # Errors
/// If a side is 0, or there are more frames than tokens.
pub fn original_sizes(media: &[Extent], limits: TokenLimits) -> Result<Vec<Size>> {
    for medium in media {
        check_sides(medium.size)?;
    }
    let Some(first) = media.first() else {
        return Ok(Vec::new());
    };
    let sizes: Vec<Size> = if media.iter().all(|medium| medium.factor == first.factor) {
        equal_shares(media, first.factor, limits)
    } else {
        one_scale(media, limits.max_tokens)
    };
    for (medium, size) in media.iter().zip(&sizes) {
        if size.height == 0 || size.width == 0 {
            let Extent { frames, size, .. } = medium;
            let (max, Size { height, width }) = (limits.max_tokens, *size);
            return Err(Error::Input(format!(
                "{frames} frames of {width}x{height} beside the other media leave no room for one vision token \
                 a frame within max_tokens {max}: show fewer frames"
            )));
        }
    }
    Ok(sizes)
}

fn equal_shares(media: &[Extent], factor: u64, limits: TokenLimits) -> Vec<Size> {
    let frames: u64 = media.iter().map(|medium| medium.frames).sum();
    let token = factor * factor;
    let share = limits.max_tokens * token / frames.max(1);
    let least = limits.min_tokens * token;
    let factor = factor as f64;
    media
        .iter()
        .map(|medium| {
            let size = medium.size;
            let mut target = size.each(|side| (side / factor).round_ties_even() * factor);
            if target.pixels() > share {
                let beta = (size.pixels() as f64 / share as f64).sqrt();
                target = size.each(|side| (side / beta / factor).floor() * factor);
            }
            if target.pixels() < least {
                target = grown(size, factor, least);
            }
            target
        })
        .collect()
}

fn one_scale(media: &[Extent], max_tokens: u64) -> Vec<Size> {
    let total: u64 = media
        .iter()
        .map(|m| m.frames * m.size.height.div_ceil(m.factor) * m.size.width.div_ceil(m.factor))
        .sum();
    let beta = (total as f64 / max_tokens as f64).sqrt();
    media
        .iter()
        .map(|medium| {
            let factor = medium.factor as f64;
            if total > max_tokens {
                medium
                    .size
                    .each(|side| (side / beta / factor).floor() * factor)
            } else {
                medium
                    .size
                    .each(|side| (side / factor).round_ties_even() * factor)
            }
        })
        .collect()
}

fn grown(size: Size, factor: f64, min_pixels: u64) -> Size {
    let beta = (min_pixels as f64 / size.pixels() as f64).sqrt();
    size.each(|side| (side * beta / factor).ceil() * factor)
}

fn check_sides(size: Size) -> Result<()> {
    if size.height == 0 || size.width == 0 {
        let Size { height, width } = size;
        return Err(Error::Input(format!(
            "a frame of {width}x{height} has no pixels"
        )));
    }
    Ok(())
}
