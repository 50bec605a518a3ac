//! The files in which a checkpoint describes its image and video processing, in each of the three
//! forms that checkpoints have:
//!
//! - the port, from 5.0 on: `processor_config.json` with `image_processor` and `video_processor`;
//! - the port before that: `preprocessor_config.json` and `video_preprocessor_config.json`;
//! - the original: `preprocessor_config.json` with token limits, the rest in `processor_config.json`.
//!
//! What is absent has the reference class's default, except that mean and standard deviation are
//! 0.5 (the classes' are CLIP's, which no published VideoLLaMA3 uses).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use video::Sampling;

use super::config::{BICUBIC, Bounds, Compression, ProcessorConfig};
use super::patches::Normalisation;
use super::size::{Limits, TokenLimits};
use crate::config::Layout;
use crate::error::{Error, Result};

impl ProcessorConfig {
    /// Reads the processor's files of a checkpoint folder; the defaults of `layout`, which is what
    /// `config.json` says of the model, if there are none.
    ///
    /// # Errors
    /// If a file cannot be read, contradicts itself or another, or asks for what is not supported.
    pub fn open(folder: &Path, layout: Layout) -> Result<Self> {
        let processor = File::read(folder, "processor_config.json")?;
        let image = File::read(folder, "preprocessor_config.json")?;
        let video = File::read(folder, "video_preprocessor_config.json")?;
        if let Some(processor) = &processor
            && processor.values.contains_key("image_processor")
        {
            let image = processor.section("image_processor")?;
            let video = processor.section("video_processor")?;
            return port(&image, Some(&video));
        }
        let Some(image) = image else {
            return Ok(match layout {
                Layout::Port => Self::port(),
                Layout::Original => Self::original(),
            });
        };
        let kind = image
            .values
            .get("image_processor_type")
            .and_then(Value::as_str);
        match kind {
            Some("Videollama3ImageProcessor") => original(folder, &image, processor.as_ref()),
            None if image.values.contains_key("max_tokens") => {
                original(folder, &image, processor.as_ref())
            }
            None
            | Some(
                "VideoLlama3ImageProcessor"
                | "VideoLlama3ImageProcessorFast"
                | "VideoLlama3ImageProcessorPil",
            ) => port(&image, video.as_ref()),
            Some(other) => Err(image.wrong(format!(
                "image_processor_type {other:?} is not VideoLLaMA3's"
            ))),
        }
    }
}

/// The names of pixel limits inside `size`: today's, and those of the first versions.
const SIZES: [&str; 4] = ["shortest_edge", "longest_edge", "min_pixels", "max_pixels"];

/// One JSON object of a checkpoint, with where it is for messages.
struct File {
    path: PathBuf,
    values: Map<String, Value>,
}

impl File {
    fn read(folder: &Path, name: &str) -> Result<Option<Self>> {
        let path = folder.join(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::File { path, source }),
        };
        match serde_json::from_str(&text) {
            Ok(values) => Ok(Some(Self { path, values })),
            Err(error) => Err(Error::Checkpoint {
                path,
                reason: format!("not a JSON object: {error}"),
            }),
        }
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Checkpoint {
            path: self.path.clone(),
            reason,
        }
    }

    fn section(&self, key: &str) -> Result<Self> {
        match self.values.get(key) {
            Some(Value::Object(values)) => Ok(Self {
                path: self.path.clone(),
                values: values.clone(),
            }),
            _ => Err(self.wrong(format!("`{key}` is missing"))),
        }
    }

    /// The number under `key`, `None` if it is absent or null.
    fn count(&self, key: &str) -> Result<Option<u64>> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(found) => {
                let number = found.as_u64().or_else(|| whole(found.as_f64()?));
                let fine = number.filter(|number| (1..=u64::from(u32::MAX)).contains(number));
                fine.map(Some).ok_or_else(|| {
                    self.wrong(format!("`{key}` is {found}, not a number of 1 or more"))
                })
            }
        }
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(found) => found
                .as_f64()
                .filter(|number| *number > 0.0)
                .map(Some)
                .ok_or_else(|| self.wrong(format!("`{key}` is {found}, not a number above 0"))),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(found) => found
                .as_bool()
                .ok_or_else(|| self.wrong(format!("`{key}` is {found}, not true or false"))),
        }
    }

    /// One number for each channel; a single number stands for all three.
    fn channels(&self, key: &str, default: f64) -> Result<[f64; 3]> {
        let bad = |found: &Value| self.wrong(format!("`{key}` is {found}, not three numbers"));
        match self.values.get(key) {
            None | Some(Value::Null) => Ok([default; 3]),
            Some(found @ Value::Array(list)) => {
                let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
                numbers
                    .and_then(|n| n.try_into().ok())
                    .ok_or_else(|| bad(found))
            }
            Some(found) => Ok([found.as_f64().ok_or_else(|| bad(found))?; 3]),
        }
    }

    /// Everything that this crate does in one way only.
    fn check_fixed(&self) -> Result<()> {
        for key in ["do_resize", "do_rescale", "do_normalize", "do_convert_rgb"] {
            if !self.flag(key, true)? {
                return Err(self.wrong(format!("`{key}` is false, which is not supported")));
            }
        }
        if let Some(frames) = self.count("temporal_patch_size")?
            && frames != 1
        {
            return Err(self.wrong(format!(
                "`temporal_patch_size` is {frames}, only 1 is supported"
            )));
        }
        if let Some(filter) = self.count("resample")?
            && filter != BICUBIC
        {
            return Err(self.wrong(format!(
                "`resample` is {filter}, only 3 (bicubic) is supported"
            )));
        }
        Ok(())
    }

    fn normalisation(&self) -> Result<Normalisation> {
        let std = self.channels("image_std", 0.5)?;
        if std.iter().any(|value| !(value.is_finite() && *value > 0.0)) {
            return Err(self.wrong(format!("`image_std` {std:?} is not above 0")));
        }
        Ok(Normalisation {
            mean: self.channels("image_mean", 0.5)?,
            std,
            rescale: self.number("rescale_factor")?.unwrap_or(1.0 / 255.0),
        })
    }

    /// Pixel limits from `size`, or from `min_pixels` and `max_pixels`, which win.
    fn limits(&self, default: Limits) -> Result<Limits> {
        let size = match self.values.get("size") {
            Some(Value::Object(_)) => self.section("size")?,
            None | Some(Value::Null) => Self {
                path: self.path.clone(),
                values: Map::new(),
            },
            Some(found) => return Err(self.wrong(format!("`size` is {found}, not an object"))),
        };
        for key in size.values.keys() {
            if !SIZES.contains(&key.as_str()) {
                return Err(self.wrong(format!("`size` has {key:?}, only {SIZES:?} are known")));
            }
        }
        let of = |inside: [&str; 2], outside: &str| -> Result<Option<u64>> {
            let [edge, pixels] = inside;
            Ok(self
                .count(outside)?
                .or(size.count(edge)?)
                .or(size.count(pixels)?))
        };
        let limits = Limits {
            min_pixels: of([SIZES[0], SIZES[2]], "min_pixels")?.unwrap_or(default.min_pixels),
            max_pixels: of([SIZES[1], SIZES[3]], "max_pixels")?.unwrap_or(default.max_pixels),
        };
        let Limits {
            min_pixels,
            max_pixels,
        } = limits;
        if min_pixels > max_pixels {
            return Err(self.wrong(format!(
                "at least {min_pixels} and at most {max_pixels} pixels contradict each other"
            )));
        }
        Ok(limits)
    }

    fn merge(&self, key: &str, default: usize) -> Result<usize> {
        let merge = self.count(key)?.map_or(default, |merge| merge as usize);
        if merge > 64 {
            return Err(self.wrong(format!("`{key}` is {merge}, more than 64 patches a side")));
        }
        Ok(merge)
    }

    fn patch(&self, default: usize) -> Result<usize> {
        let patch = self
            .count("patch_size")?
            .map_or(default, |patch| patch as usize);
        if patch > 1024 {
            return Err(self.wrong(format!("`patch_size` is {patch}, more than 1024 pixels")));
        }
        Ok(patch)
    }
}

fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

fn port(image: &File, video: Option<&File>) -> Result<ProcessorConfig> {
    let default = ProcessorConfig::port();
    let Bounds::Port {
        image: image_limits,
        video: video_limits,
    } = default.bounds
    else {
        return Ok(default);
    };
    image.check_fixed()?;
    let mut config = ProcessorConfig {
        patch_size: image.patch(default.patch_size)?,
        image_merge: image.merge("merge_size", default.image_merge)?,
        normalisation: image.normalisation()?,
        bounds: Bounds::Port {
            image: image.limits(image_limits)?,
            video: video_limits,
        },
        ..default
    };
    let Some(video) = video else {
        return Ok(config);
    };
    video.check_fixed()?;
    let (patch, normalisation) = (video.patch(config.patch_size)?, video.normalisation()?);
    if patch != config.patch_size || normalisation != config.normalisation {
        return Err(video.wrong(
            "patch size, mean, std or rescale factor differ between images and videos: the model has \
             one encoder for both"
                .to_owned(),
        ));
    }
    config.video_merge = video.merge("merge_size", config.video_merge)?;
    config.bounds = Bounds::Port {
        image: image.limits(image_limits)?,
        video: video.limits(video_limits)?,
    };
    config.compression = compression(video.flag("use_token_compression", true)?);
    config.sampling = port_sampling(video)?;
    Ok(config)
}

/// Off by default in the port: then frames come as VideoLLaMA3 itself samples them.
fn port_sampling(video: &File) -> Result<Sampling> {
    let fps = video.number("fps")?.unwrap_or(1.0);
    let max_frames = video.count("max_frames")?.unwrap_or(180) as usize;
    let sampling = if video.flag("do_sample_frames", false)? {
        if video.number("fps")?.is_none() && video.count("num_frames")?.is_some() {
            return Err(video.wrong(
                "`num_frames` with `do_sample_frames` is not supported, give `fps`".to_owned(),
            ));
        }
        Sampling::Transformers {
            fps,
            min_frames: video.count("min_frames")?.unwrap_or(4) as usize,
            max_frames,
        }
    } else {
        match video.count("num_frames")? {
            Some(frames) => Sampling::Uniform {
                frames: frames as usize,
            },
            None => Sampling::Fps { fps, max_frames },
        }
    };
    sampling
        .checked()
        .map_err(|error| video.wrong(error.to_string()))
}

fn original(folder: &Path, image: &File, processor: Option<&File>) -> Result<ProcessorConfig> {
    let default = ProcessorConfig::original();
    image.check_fixed()?;
    let limits = TokenLimits {
        min_tokens: image.count("min_tokens")?.unwrap_or(16),
        max_tokens: image.count("max_tokens")?.unwrap_or(16384),
    };
    if limits.min_tokens > limits.max_tokens {
        return Err(image.wrong("min_tokens is above max_tokens".to_owned()));
    }
    let empty = File {
        path: image.path.clone(),
        values: Map::new(),
    };
    let processor = processor.unwrap_or(&empty);
    // Whether tokens are dropped is the model's own setting there.
    let compressed = match File::read(folder, "config.json")? {
        Some(model) => model.flag("use_token_compression", true)?,
        None => true,
    };
    let sampling = Sampling::Fps {
        fps: processor.number("fps")?.unwrap_or(1.0),
        max_frames: processor.count("max_frames")?.unwrap_or(128) as usize,
    };
    Ok(ProcessorConfig {
        patch_size: image.patch(default.patch_size)?,
        image_merge: processor.merge("image_merge_size", default.image_merge)?,
        video_merge: processor.merge("video_merge_size", default.video_merge)?,
        bounds: Bounds::Original(limits),
        normalisation: image.normalisation()?,
        sampling: sampling
            .checked()
            .map_err(|error| processor.wrong(error.to_string()))?,
        compression: compression(compressed),
    })
}

fn compression(on: bool) -> Compression {
    if on {
        Compression::On
    } else {
        Compression::Off
    }
}
