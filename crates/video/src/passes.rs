//! The passes over a file that each sampling rule takes.
//!
//! What a container says of its frames may be false, so each pass counts what the decoder saw; where
//! that differs from what the choice was based on, the choice is made again.

use crate::extract::{Extracted, Keep, Pass, Picture, extract};
use crate::limits::Deadline;
use crate::probe::{self, Probe, Timeline};
use crate::sampling::{self, TransformersRule};
use crate::source::Source;
use crate::{Decoder, Error, Frame, FrameSize, Sampling, Seconds};

/// One file on its way to frames.
pub(crate) struct Sampler<'a> {
    pub(crate) tools: &'a Decoder,
    pub(crate) source: &'a Source,
    pub(crate) size: FrameSize,
    pub(crate) deadline: &'a Deadline,
}

impl Sampler<'_> {
    pub(crate) fn sample(&self, sampling: Sampling) -> Result<Vec<Frame>, Error> {
        let probe = probe::probe(self.tools, self.source, self.deadline)?;
        let frames = match sampling {
            Sampling::Fps { fps, max_frames } => self.by_rate(&probe, fps, max_frames)?,
            Sampling::Transformers {
                fps,
                min_frames,
                max_frames,
            } => self.by_index(
                &probe,
                TransformersRule {
                    fps,
                    min_frames,
                    max_frames,
                },
            )?,
            Sampling::Uniform { frames } => self.by_time(|line| {
                let moments = sampling::uniform_times(line.end, frames.min(line.times.len()));
                let indices = sampling::on_screen(&line.times, &moments);
                indices.into_iter().zip(moments).collect()
            })?,
            Sampling::All => {
                self.by_time(|line| line.times.iter().copied().enumerate().collect())?
            }
        };
        if frames.is_empty() {
            return Err(Error::NoFrames {
                path: self.source.named.clone(),
                said: String::new(),
            });
        }
        Ok(frames)
    }

    /// Frames at a steady rate; of too many, some.
    ///
    /// How many there are is known for certain only at the end, and keeping all until then would
    /// cost memory in the length of the video. So the number is guessed from the duration, the
    /// frames that the guess wants are kept, and the pass is repeated if the guess was wrong.
    fn by_rate(&self, probe: &Probe, fps: f64, most: usize) -> Result<Vec<Frame>, Error> {
        let time = |i: usize| Seconds(i as f64 / fps);
        let guess = probe
            .duration
            .map_or(0, |duration| (duration.0 * fps) as usize);
        let mut total = guess;
        for _ in 0..3 {
            if total > most {
                let indices = sampling::linspace(total, most);
                let got = self.extract(Some(fps), Keep::Indices(&indices))?;
                if got.total == total && got.pictures.len() == indices.len() {
                    return Ok(frames(got.pictures, indices.into_iter().map(time)));
                }
                total = got.total;
            } else {
                let got = self.extract(Some(fps), Keep::UpTo(most))?;
                match got.total {
                    0 => return self.first(),
                    1.. if got.total <= most => return Ok(frames(got.pictures, (0..).map(time))),
                    _ => total = got.total,
                }
            }
        }
        Err(self.unsteady())
    }

    /// Frames by the port's rule. The container's count is tried first and then verified.
    fn by_index(&self, probe: &Probe, rule: TransformersRule) -> Result<Vec<Frame>, Error> {
        let count = |frames: u64| usize::try_from(frames).ok().filter(|&frames| frames > 0);
        let mut total = match probe.frames.and_then(count) {
            Some(frames) => frames,
            None => probe::packets(self.tools, self.source, self.deadline)?
                .times
                .len(),
        };
        for _ in 0..3 {
            let video_fps = probe
                .average_fps
                .or_else(|| Some(total as f64 / probe.duration.filter(|length| length.0 > 0.0)?.0))
                .unwrap_or(rule.fps);
            let mut indices = sampling::transformers_indices(total, video_fps, rule);
            if indices.is_empty() {
                indices = vec![0];
            }
            let got = self.extract(None, Keep::Indices(&indices))?;
            if got.total == total && got.pictures.len() == indices.len() {
                let times = indices
                    .into_iter()
                    .map(|index| Seconds(index as f64 / video_fps));
                return Ok(frames(got.pictures, times));
            }
            if got.total == 0 {
                return Ok(Vec::new());
            }
            total = got.total;
        }
        Err(self.unsteady())
    }

    /// Frames chosen by their times. The container's times are tried first; if the decoder counts
    /// otherwise, the decoder's.
    fn by_time(
        &self,
        choose: impl Fn(&Timeline) -> Vec<(usize, Seconds)>,
    ) -> Result<Vec<Frame>, Error> {
        for timeline in [probe::packets, probe::frames] {
            let line = timeline(self.tools, self.source, self.deadline)?;
            if line.times.is_empty() {
                continue;
            }
            let chosen = choose(&line);
            if chosen.len() > self.tools.limits.frames {
                let limit = self.tools.limits.frames;
                return Err(Error::Frames {
                    path: self.source.named.clone(),
                    limit,
                });
            }
            let mut indices: Vec<usize> = chosen.iter().map(|(index, _)| *index).collect();
            indices.dedup();
            let keep = if indices.len() == line.times.len() {
                Keep::UpTo(indices.len())
            } else {
                Keep::Indices(&indices)
            };
            let got = self.extract(None, keep)?;
            if got.total == line.times.len() && got.pictures.len() == indices.len() {
                return Ok(repeated(got.pictures, &chosen));
            }
        }
        Err(Error::NoFrames {
            path: self.source.named.clone(),
            said: String::new(),
        })
    }

    /// The first frame alone.
    fn first(&self) -> Result<Vec<Frame>, Error> {
        let got = self.extract(None, Keep::Indices(&[0]))?;
        Ok(frames(got.pictures, [Seconds(0.0)]))
    }

    fn extract(&self, fps: Option<f64>, keep: Keep<'_>) -> Result<Extracted, Error> {
        if let Keep::Indices(indices) = keep
            && indices.len() > self.tools.limits.frames
        {
            let limit = self.tools.limits.frames;
            return Err(Error::Frames {
                path: self.source.named.clone(),
                limit,
            });
        }
        extract(
            self.tools,
            self.source,
            Pass {
                fps,
                keep,
                size: self.size,
            },
            self.deadline,
        )
    }

    fn unsteady(&self) -> Error {
        let said = "each pass counts other frames".into();
        Error::Decode {
            path: self.source.named.clone(),
            said,
        }
    }
}

fn frames(pictures: Vec<Picture>, times: impl IntoIterator<Item = Seconds>) -> Vec<Frame> {
    let frame = |(Picture { width, height, rgb }, seconds)| Frame {
        width,
        height,
        rgb,
        seconds,
    };
    pictures.into_iter().zip(times).map(frame).collect()
}

/// A frame for each choice; neighbours may choose the same picture.
fn repeated(pictures: Vec<Picture>, chosen: &[(usize, Seconds)]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::with_capacity(chosen.len());
    let mut pictures = pictures.into_iter();
    for (i, &(index, seconds)) in chosen.iter().enumerate() {
        let again = i > 0 && chosen[i - 1].0 == index;
        let frame = match (again, frames.last()) {
            (true, Some(last)) => Frame {
                seconds,
                ..last.clone()
            },
            _ => {
                let picture = pictures
                    .next()
                    .expect("as many pictures as distinct indices");
                Frame {
                    width: picture.width,
                    height: picture.height,
                    rgb: picture.rgb,
                    seconds,
                }
            }
        };
        frames.push(frame);
    }
    frames
}
