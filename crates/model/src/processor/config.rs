//! Image and video processing of a checkpoint as one typed value, with the references' defaults.

use serde_json::{Value, json};
use video::Sampling;

use super::patches::Normalisation;
use super::size::{Limits, TokenLimits};
use crate::config::Layout;
use crate::error::{Error, Result};

/// Whether near-unchanged vision tokens of a video are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// They are.
    On,
    /// Every token is kept.
    Off,
}

/// How large frames may be: each reference's own rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// The port: pixels of an image, and pixels of all frames of a video together.
    Port {
        /// For an image.
        image: Limits,
        /// For a video; the most is shared by its frames.
        video: Limits,
    },
    /// The original: vision tokens of the whole prompt.
    Original(TokenLimits),
}

/// Image and video processing of one checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessorConfig {
    /// Side of a patch in pixels, P.
    pub patch_size: usize,
    /// Patches along a vision token's side in an image.
    pub image_merge: usize,
    /// Patches along a vision token's side in a video.
    pub video_merge: usize,
    /// How large frames may be; also says whose processing this is.
    pub bounds: Bounds,
    /// How bytes become numbers.
    pub normalisation: Normalisation,
    /// Which frames of a video the checkpoint asks for.
    pub sampling: Sampling,
    /// Whether near-unchanged vision tokens of a video are left out.
    pub compression: Compression,
}

impl ProcessorConfig {
    /// The port's defaults.
    pub fn port() -> Self {
        Self {
            patch_size: 14,
            image_merge: 1,
            video_merge: 2,
            bounds: Bounds::Port {
                image: Limits {
                    min_pixels: 56 * 56,
                    max_pixels: 28 * 28 * 1280,
                },
                video: Limits {
                    min_pixels: 128 * 28 * 28,
                    max_pixels: 28 * 28 * 768,
                },
            },
            normalisation: Normalisation {
                mean: [0.5; 3],
                std: [0.5; 3],
                rescale: 1.0 / 255.0,
            },
            sampling: Sampling::Fps {
                fps: 1.0,
                max_frames: 180,
            },
            compression: Compression::On,
        }
    }

    /// The original's defaults.
    pub fn original() -> Self {
        Self {
            bounds: Bounds::Original(TokenLimits {
                min_tokens: 16,
                max_tokens: 16384,
            }),
            sampling: Sampling::Fps {
                fps: 1.0,
                max_frames: 128,
            },
            ..Self::port()
        }
    }

    /// Whose processing this is.
    pub fn layout(&self) -> Layout {
        match self.bounds {
            Bounds::Port { .. } => Layout::Port,
            Bounds::Original(_) => Layout::Original,
        }
    }

    /// `processor_config.json` of the port, as `transformers` reads it.
    ///
    /// # Errors
    /// If this is the original's processing, which has no such file.
    pub fn to_port_json(&self) -> Result<Value> {
        let Bounds::Port { image, video } = self.bounds else {
            return Err(Error::Input(
                "the original's processing cannot be written in the port's layout: its limits are \
                 in tokens of the whole prompt"
                    .to_owned(),
            ));
        };
        let part = |limits: Limits, merge: usize| {
            json!({
                "do_convert_rgb": true,
                "do_normalize": true,
                "do_rescale": true,
                "do_resize": true,
                "image_mean": self.normalisation.mean,
                "image_std": self.normalisation.std,
                "merge_size": merge,
                "patch_size": self.patch_size,
                "resample": BICUBIC,
                "rescale_factor": self.normalisation.rescale,
                "size": {"shortest_edge": limits.min_pixels, "longest_edge": limits.max_pixels},
                "temporal_patch_size": 1,
            })
        };
        let mut images = part(image, self.image_merge);
        images["image_processor_type"] = json!("VideoLlama3ImageProcessor");
        let mut videos = part(video, self.video_merge);
        videos["video_processor_type"] = json!("VideoLlama3VideoProcessor");
        videos["use_token_compression"] = json!(self.compression == Compression::On);
        match self.sampling {
            Sampling::Fps { fps, max_frames } => {
                videos["do_sample_frames"] = json!(false);
                videos["fps"] = json!(fps);
                videos["max_frames"] = json!(max_frames);
            }
            Sampling::Transformers {
                fps,
                min_frames,
                max_frames,
            } => {
                videos["do_sample_frames"] = json!(true);
                videos["fps"] = json!(fps);
                videos["min_frames"] = json!(min_frames);
                videos["max_frames"] = json!(max_frames);
            }
            Sampling::Uniform { frames } => {
                videos["do_sample_frames"] = json!(false);
                videos["num_frames"] = json!(frames);
            }
            Sampling::All => videos["do_sample_frames"] = json!(false),
        }
        Ok(json!({
            "image_processor": images,
            "video_processor": videos,
            "processor_class": "VideoLlama3Processor",
        }))
    }
}

/// Pillow's number for bicubic.
pub(super) const BICUBIC: u64 = 3;
