//! The frames of a sample's video: decoded, and checked against the fingerprint in the benchmark.

use std::path::Path;

use safety::Sample;
use video::{Clip, Decoder, FrameSize, Sampling};

/// Where the frames of samples come from; tests put stills in the place of `ffmpeg`.
pub trait FrameSource: Send + Sync {
    /// The frames of `sample`'s video, which is the file at `path`.
    ///
    /// # Errors
    /// Says in words why this video has no frames; the run goes on without it.
    fn frames(&self, sample: &Sample, path: &Path) -> Result<Clip, String>;
}

/// Frames through `ffmpeg`.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// How files are read.
    pub decoder: Decoder,
    /// Which frames.
    pub sampling: Sampling,
}

impl FrameSource for Decoded {
    fn frames(&self, sample: &Sample, path: &Path) -> Result<Clip, String> {
        let clip = self
            .decoder
            .video(path, self.sampling, FrameSize::Native)
            .map_err(|error| said(&error))?;
        match &sample.video {
            Some(video) if video.sha256 != clip.source_sha256 => Err(format!(
                "{} is not the video of the benchmark: its sha256 is {}, samples.jsonl says {}",
                path.display(),
                clip.source_sha256,
                video.sha256
            )),
            _ => Ok(clip),
        }
    }
}

/// An error with its causes in one line.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}
