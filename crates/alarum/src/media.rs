//! What a user shows: files named on the command line become media of a request.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use chat::Media;
use video::{Clip, Decoder, FrameSize, Sampling};

use crate::args::{Frames, Rule, Shown};
use crate::progress::UserError;

/// The sampling that the flags ask for; what they leave open is the model's `default`.
pub(crate) fn sampling(flags: &Frames, default: Sampling) -> Result<Sampling> {
    let (default_fps, default_max) = match default {
        Sampling::Fps { fps, max_frames }
        | Sampling::Transformers {
            fps, max_frames, ..
        } => (fps, max_frames),
        Sampling::Uniform { frames } => (1.0, frames),
        Sampling::All => (1.0, 180),
    };
    let fps = flags.fps.unwrap_or(default_fps);
    let max_frames = flags.max_frames.unwrap_or(default_max);
    let sampling = match flags.sampling {
        Rule::Fps => Sampling::Fps { fps, max_frames },
        Rule::Transformers => Sampling::Transformers {
            fps,
            min_frames: 4.min(max_frames),
            max_frames,
        },
        Rule::Uniform => Sampling::Uniform { frames: max_frames },
    };
    sampling
        .checked()
        .map_err(|error| UserError(error.to_string()).into())
}

/// Reads everything that is shown, images before the video.
pub(crate) fn read(shown: &Shown, default: Sampling) -> Result<Vec<Media>> {
    let decoder = Decoder::default();
    let mut media = Vec::new();
    for path in &shown.image {
        media.push(Media::Image(Arc::new(decoder.image(path)?)));
    }
    if let Some(path) = &shown.video {
        let sampling = sampling(&shown.frames, default)?;
        let clip = if path.is_dir() {
            let fps = match sampling {
                Sampling::Fps { fps, .. } | Sampling::Transformers { fps, .. } => fps,
                Sampling::Uniform { .. } | Sampling::All => 1.0,
            };
            decoder.folder(path, fps)?
        } else {
            decoder.video(path, sampling, FrameSize::Native)?
        };
        if clip.frames.is_empty() {
            bail!(UserError(format!("{} has no frame", path.display())));
        }
        media.push(Media::Video(Arc::new(clip)));
    }
    Ok(media)
}

/// The frames of a medium.
pub(crate) fn clip(media: &Media) -> &Clip {
    match media {
        Media::Video(clip) | Media::Image(clip) => clip,
    }
}

/// Opens a file that a user named.
pub(crate) fn text(path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
