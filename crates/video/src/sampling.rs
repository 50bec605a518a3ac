//! Which frames are wanted: pure rules from counts and times to indices and times.

use serde::{Deserialize, Serialize};

use crate::{Error, Seconds};

/// A rule that picks frames of a video.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sampling {
    /// The frames on screen at the middle of each of `frames` equal parts, or every frame once if
    /// there are fewer. Their times are those moments.
    Uniform {
        /// How many.
        frames: usize,
    },
    /// VideoLLaMA3's own rule (`load_video` of its `mm_utils.py`): the `fps` filter of ffmpeg with
    /// `round=down`, times `i / fps`; of more than `max_frames`, those at [`linspace`]. Where the
    /// reference would give no frame (a video shorter than `1 / fps`), the first frame.
    Fps {
        /// Frames a second.
        fps: f64,
        /// The most that are kept.
        max_frames: usize,
    },
    /// The rule of the `video_llama_3` port in `transformers` (`sample_frames` of
    /// `video_processing_video_llama_3.py`): [`transformers_indices`], times `index / video fps`.
    Transformers {
        /// Frames a second.
        fps: f64,
        /// The fewest, if the video has so many.
        min_frames: usize,
        /// The most.
        max_frames: usize,
    },
    /// Every frame, at its own time.
    All,
}

impl Sampling {
    /// The rule itself, if its numbers mean something.
    ///
    /// # Errors
    /// [`Error::Setting`] for zero frames, or an `fps` that is not a positive number.
    pub fn checked(self) -> Result<Self, Error> {
        let rate = |fps: f64| {
            let fine = fps.is_finite() && fps > 0.0 && fps <= 1000.0;
            fine.then_some(()).ok_or_else(|| Error::Setting {
                name: "fps",
                value: fps.to_string(),
                remedy: "more than 0 and at most 1000 frames a second",
            })
        };
        let count = |name, frames: usize| {
            (frames > 0).then_some(()).ok_or_else(|| Error::Setting {
                name,
                value: frames.to_string(),
                remedy: "1 or more",
            })
        };
        match self {
            Self::Uniform { frames } => count("frames", frames)?,
            Self::Fps { fps, max_frames }
            | Self::Transformers {
                fps, max_frames, ..
            } => {
                rate(fps)?;
                count("max_frames", max_frames)?;
            }
            Self::All => {}
        }
        Ok(self)
    }
}

/// `frames` moments spread evenly over `duration`: the middle of each of `frames` equal parts.
pub fn uniform_times(duration: Seconds, frames: usize) -> Vec<Seconds> {
    let step = duration.0 / frames as f64;
    (0..frames)
        .map(|i| Seconds((i as f64 + 0.5) * step))
        .collect()
}

/// For each moment the index of the frame on screen then: the last one whose time is not later,
/// else the first. `times` ascend and are not empty.
pub fn on_screen(times: &[Seconds], moments: &[Seconds]) -> Vec<usize> {
    moments
        .iter()
        .map(|moment| {
            times
                .partition_point(|time| time <= moment)
                .saturating_sub(1)
        })
        .collect()
}

/// `numpy.linspace(0, total - 1, count, dtype=int)`: `count` indices from the first to the last of
/// `total`, rounded down after the same floating-point steps as NumPy's.
pub fn linspace(total: usize, count: usize) -> Vec<usize> {
    let last = total.saturating_sub(1) as f64;
    if count < 2 {
        return vec![0; count];
    }
    let parts = (count - 1) as f64;
    let step = last / parts;
    let mut indices: Vec<usize> = (0..count)
        .map(|i| if step == 0.0 { i as f64 / parts * last } else { i as f64 * step } as usize)
        .collect();
    indices[count - 1] = last as usize;
    indices
}

/// The indices that the port picks: `n = total / video_fps * fps` brought into
/// `min_frames ..= max_frames` and below `total`, rounded down; then
/// `torch.arange(0, total, total / n).int()`, bit for bit.
///
/// For some counts rounding makes the reference ask for frame `total`, which no video has; that one
/// is left out. Empty if `n` comes out as 0.
pub fn transformers_indices(total: usize, video_fps: f64, rule: TransformersRule) -> Vec<usize> {
    let cap = rule.max_frames.min(total) as f64;
    let wanted = total as f64 / video_fps * rule.fps;
    let n = wanted.max(rule.min_frames as f64).min(cap).floor();
    if n.is_nan() || n < 1.0 {
        return Vec::new();
    }
    let indices = torch_arange(total as f64, total as f64 / n);
    indices
        .into_iter()
        .map(|at| at as usize)
        .filter(|&at| at < total)
        .collect()
}

/// `torch.arange(0, end, step)` in f32 as the x86 kernel computes it: in blocks of eight the first
/// value is rounded, the others are counted from it in f64; what is left after the last two blocks
/// is computed one by one.
fn torch_arange(end: f64, step: f64) -> Vec<f32> {
    const LANES: usize = 8;
    let count = (end / step).ceil() as usize;
    let in_blocks = count - count % (2 * LANES);
    (0..count)
        .map(|i| {
            if i < in_blocks {
                let first = ((i - i % LANES) as f64 * step) as f32;
                (f64::from(first) + (i % LANES) as f64 * step) as f32
            } else {
                (i as f64 * step) as f32
            }
        })
        .collect()
}

/// The numbers of [`Sampling::Transformers`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransformersRule {
    /// Frames a second.
    pub fps: f64,
    /// The fewest.
    pub min_frames: usize,
    /// The most.
    pub max_frames: usize,
}
