//! Tokens without pixels: what a file's header says is enough to count them.

use model::processor::size::Size;
use model::processor::{Geometry, Processor};
use model::sequence::Kept;
use model::{MediaKind, template::Shown};
use video::sampling::{TransformersRule, linspace, transformers_indices, uniform_times};
use video::{Sampling, Seconds};

use super::facts::Facts;

/// A file's duration is written with six decimals or fewer: a frame that is due this much after the
/// end is still counted.
const ROUNDING: f64 = 1e-3;

/// One video or image as it will be shown, every vision token kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outline {
    /// Image, or video with the times of its frames.
    pub(super) shown: Shown,
    pub(super) geometry: Geometry,
    /// Pixels of one frame as decoded.
    pixels: u64,
}

impl Outline {
    /// Bytes of the decoded frames and of the patches made of them.
    pub(super) fn bytes(&self, processor: &Processor) -> u64 {
        let side = processor.config().patch_size as u64;
        let patches = self.geometry.patches() as u64 * 3 * side * side * 4;
        self.geometry.grid[0] as u64 * self.pixels * 3 + patches
    }

    /// The same with one token a frame: as long as [`Outline::folded`] tokens less.
    pub(super) fn one_a_frame(&self) -> Kept {
        Kept {
            shown: self.shown.clone(),
            per_frame: vec![1; self.geometry.grid[0]],
        }
    }

    /// Vision tokens that [`Outline::one_a_frame`] leaves out.
    pub(super) fn folded(&self) -> usize {
        self.geometry.tokens() - self.geometry.grid[0]
    }
}

/// An image of that size.
pub(super) fn image(facts: &Facts, processor: &Processor) -> model::Result<Outline> {
    Ok(Outline {
        shown: Shown::Image,
        geometry: processor.geometry(MediaKind::Image, 1, facts.size())?,
        pixels: facts.width * facts.height,
    })
}

/// A video of that length and size. Where the header does not say how long it is, the most that the
/// sampling may take and the model may be shown; an error if the sampling knows no bound.
pub(super) fn video(
    facts: &Facts,
    sampling: Sampling,
    processor: &Processor,
) -> Result<Outline, String> {
    let outline = |times: Vec<f64>| -> Result<Outline, String> {
        let geometry = processor
            .geometry(MediaKind::Video, times.len(), facts.size())
            .map_err(|error| error.to_string())?;
        Ok(Outline {
            shown: Shown::Video(times),
            geometry,
            pixels: facts.width * facts.height,
        })
    };
    if let Some(times) = times(facts, sampling) {
        return outline(times);
    }
    let most = match sampling {
        Sampling::Fps { max_frames, .. } | Sampling::Transformers { max_frames, .. } => max_frames,
        Sampling::Uniform { frames } => frames,
        Sampling::All => {
            return Err(
                "the file does not say how many frames it has, and all are asked for: \
                        sample it by `fps`"
                    .to_owned(),
            );
        }
    };
    let rate = match sampling {
        Sampling::Fps { fps, .. } | Sampling::Transformers { fps, .. } => fps,
        Sampling::Uniform { .. } | Sampling::All => 1.0,
    };
    // Fewer frames may be larger: the costliest number counts.
    let size: Size = facts.size();
    let cost = |&frames: &usize| {
        let geometry = processor.geometry(MediaKind::Video, frames, size);
        geometry.map_or(0, |geometry| geometry.tokens())
    };
    let frames = (1..=most).max_by_key(cost).unwrap_or(1);
    outline((0..frames).map(|i| i as f64 / rate).collect())
}

/// The times of the sampled frames, if the header says enough.
fn times(facts: &Facts, sampling: Sampling) -> Option<Vec<f64>> {
    match sampling {
        Sampling::Fps { fps, max_frames } => {
            let total = ((facts.seconds? + ROUNDING) * fps) as usize;
            let time = |i: usize| i as f64 / fps;
            Some(if total > max_frames {
                linspace(total, max_frames).into_iter().map(time).collect()
            } else {
                (0..total.max(1)).map(time).collect()
            })
        }
        Sampling::Transformers {
            fps,
            min_frames,
            max_frames,
        } => {
            let total = facts.total()?;
            let seconds = facts.seconds.filter(|seconds| *seconds > 0.0);
            let video_fps = facts
                .fps
                .or_else(|| Some(total as f64 / seconds?))
                .unwrap_or(fps);
            let rule = TransformersRule {
                fps,
                min_frames,
                max_frames,
            };
            let mut indices = transformers_indices(total, video_fps, rule);
            if indices.is_empty() {
                indices = vec![0];
            }
            Some(indices.into_iter().map(|i| i as f64 / video_fps).collect())
        }
        Sampling::Uniform { frames } => {
            let frames = facts.total().map_or(frames, |total| frames.min(total));
            let length = Seconds(facts.seconds?);
            let moments = uniform_times(length, frames.max(1));
            Some(moments.into_iter().map(|moment| moment.0).collect())
        }
        Sampling::All => {
            let total = facts.total()?;
            let fps = facts.fps.unwrap_or(1.0);
            Some((0..total).map(|i| i as f64 / fps).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FPS: Sampling = Sampling::Fps {
        fps: 1.0,
        max_frames: 4,
    };

    fn facts(seconds: Option<f64>) -> Facts {
        Facts {
            width: 64,
            height: 48,
            seconds,
            frames: None,
            fps: Some(10.0),
        }
    }

    #[track_caller]
    fn check(seconds: f64, sampling: Sampling, want: &[f64]) {
        let found = times(&facts(Some(seconds)), sampling).unwrap();
        assert_eq!(found, want);
    }

    #[test]
    fn a_frame_comes_each_second() {
        check(3.9, FPS, &[0.0, 1.0, 2.0]);
    }

    #[test]
    fn a_duration_that_was_rounded_down_loses_no_frame() {
        check(2.999_999, FPS, &[0.0, 1.0, 2.0]);
    }

    #[test]
    fn too_many_frames_are_thinned_out() {
        check(10.0, FPS, &[0.0, 3.0, 6.0, 9.0]);
    }

    #[test]
    fn the_shortest_video_has_a_frame() {
        check(0.1, FPS, &[0.0]);
    }

    #[test]
    fn frames_that_nobody_counted_are_told_from_rate_and_length() {
        check(0.3, Sampling::All, &[0.0, 0.1, 0.2]);
        check(1.0, Sampling::Uniform { frames: 2 }, &[0.25, 0.75]);
    }

    #[test]
    fn a_length_that_nobody_knows_is_not_invented() {
        assert_eq!(times(&facts(None), FPS), None);
        assert_eq!(times(&facts(None), Sampling::All), None);
    }
}
