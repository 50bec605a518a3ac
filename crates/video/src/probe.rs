//! What a file is, as `ffprobe` sees it.

use std::ffi::OsString;
use std::io::Read;

use serde::Deserialize;

use crate::child::Child;
use crate::extract::{failure, input};
use crate::limits::Deadline;
use crate::source::Source;
use crate::{Decoder, Error, Seconds};

/// The most that is read of what `ffprobe` says: the times of two million frames.
const OUTPUT: u64 = 64 << 20;

/// What `ffprobe` says of a file's first moving picture. A file can lie in all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The container, by ffmpeg's name.
    pub container: String,
    /// The codec, by ffmpeg's name.
    pub codec: String,
    /// Such as `yuv420p10le`.
    pub pixel_format: Option<String>,
    /// Pixels a row as stored, before [`Probe::rotation`].
    pub width: u64,
    /// Rows as stored.
    pub height: u64,
    /// Degrees, a multiple of 90, clockwise, below 360: by how much a player turns the picture.
    pub rotation: u32,
    /// Frames divided by duration.
    pub average_fps: Option<f64>,
    /// The rate whose multiples hold every frame's time.
    pub base_fps: Option<f64>,
    /// Of the picture, else of the file.
    pub duration: Option<Seconds>,
    /// Frames, if the container says so.
    pub frames: Option<u64>,
}

impl Probe {
    /// Width and height as a player shows them.
    pub fn upright(&self) -> (u64, u64) {
        if self.rotation % 180 == 90 {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }
}

/// The times of all frames in the order of showing, from the start of the file.
pub(crate) struct Timeline {
    pub(crate) times: Vec<Seconds>,
    /// When the last frame ends.
    pub(crate) end: Seconds,
}

pub(crate) fn probe(tools: &Decoder, source: &Source, deadline: &Deadline) -> Result<Probe, Error> {
    let show = "stream=codec_name,pix_fmt,width,height,avg_frame_rate,r_frame_rate,duration,nb_frames\
                :stream_tags=rotate:stream_side_data=rotation:format=format_name,duration";
    let said = ask(
        tools,
        source,
        deadline,
        &["-of", "json", "-show_entries", show],
    )?;
    let unreadable = || Error::Decode {
        path: source.named.clone(),
        said: String::new(),
    };
    let wire: Wire = serde_json::from_str(&said).map_err(|_| unreadable())?;
    let no_video = || Error::NoVideo {
        path: source.named.clone(),
    };
    let stream = wire.streams.into_iter().next().ok_or_else(no_video)?;
    let number = |text: Option<String>| {
        text?
            .parse()
            .ok()
            .filter(|x: &f64| x.is_finite() && *x >= 0.0)
    };
    let probe = Probe {
        container: wire.format.format_name,
        codec: stream.codec_name.ok_or_else(unreadable)?,
        rotation: stream
            .side_data_list
            .iter()
            .find_map(|side| side.rotation)
            // Side data turns the other way round than the older tag.
            .map(|degrees| -degrees)
            .or_else(|| stream.tags.rotate.as_deref()?.parse().ok())
            .map_or(0, |degrees: f64| {
                (degrees / 90.0).round().rem_euclid(4.0) as u32 * 90
            }),
        pixel_format: stream.pix_fmt,
        width: stream.width,
        height: stream.height,
        average_fps: stream.avg_frame_rate.as_deref().and_then(ratio),
        base_fps: stream.r_frame_rate.as_deref().and_then(ratio),
        duration: number(stream.duration)
            .or_else(|| number(wire.format.duration))
            .map(Seconds),
        frames: stream.nb_frames.and_then(|frames| frames.parse().ok()),
    };
    let limit = tools.limits.frame_pixels;
    if probe.width.saturating_mul(probe.height) > limit {
        let (width, height) = (probe.width, probe.height);
        return Err(Error::Pixels {
            path: source.named.clone(),
            width,
            height,
            limit,
        });
    }
    Ok(probe)
}

/// Frame times as the container tells them: quick, but a damaged file holds packets that never
/// become frames.
pub(crate) fn packets(
    tools: &Decoder,
    source: &Source,
    deadline: &Deadline,
) -> Result<Timeline, Error> {
    let show = [
        "-of",
        "csv=p=0",
        "-show_entries",
        "packet=pts_time,duration_time,flags",
    ];
    timeline(tools, source, deadline, &show)
}

/// Frame times as the decoder tells them: true and slow.
pub(crate) fn frames(
    tools: &Decoder,
    source: &Source,
    deadline: &Deadline,
) -> Result<Timeline, Error> {
    let show = [
        "-of",
        "csv=p=0",
        "-show_entries",
        "frame=best_effort_timestamp_time,pkt_duration_time,duration_time",
    ];
    timeline(tools, source, deadline, &show)
}

fn timeline(
    tools: &Decoder,
    source: &Source,
    deadline: &Deadline,
    show: &[&str],
) -> Result<Timeline, Error> {
    let format = ask(
        tools,
        source,
        deadline,
        &["-of", "csv=p=0", "-show_entries", "format=start_time"],
    )?;
    let start: f64 = format.trim().parse().unwrap_or(0.0);
    let said = ask(tools, source, deadline, show)?;
    let mut rows: Vec<(f64, f64)> = Vec::new();
    for line in said.lines() {
        let mut fields = line.split(',');
        let mut number = || fields.next().and_then(|field| field.parse::<f64>().ok());
        // Frames without a time are shown one duration after the frame before them.
        let (time, length) = (number(), number().unwrap_or(0.0));
        let discarded = fields.next().is_some_and(|flags| flags.contains('D'));
        let next = rows.last().map_or(start, |(time, length)| time + length);
        if !discarded && !line.is_empty() {
            rows.push((time.unwrap_or(next), length));
        }
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let end = rows
        .last()
        .map_or(0.0, |(time, length)| time + length - start);
    Ok(Timeline {
        times: rows.iter().map(|(time, _)| Seconds(time - start)).collect(),
        end: Seconds(end),
    })
}

/// What `ffprobe` answers about the first picture stream that is not a cover image.
fn ask(
    tools: &Decoder,
    source: &Source,
    deadline: &Deadline,
    show: &[&str],
) -> Result<String, Error> {
    let mut arguments: Vec<OsString> = ["-v", "error", "-select_streams", "V:0"]
        .map(Into::into)
        .into();
    arguments.extend(show.iter().map(OsString::from));
    arguments.extend(input(tools, source));
    let mut child = Child::start(&tools.ffprobe, arguments, deadline, move |stdout, send| {
        let mut said = Vec::new();
        let whole = stdout.take(OUTPUT).read_to_end(&mut said).is_ok();
        drop(send.send(whole.then_some(said)));
    })?;
    let said = child.next()?.flatten();
    let ended = child.finish()?;
    if !ended.status.success() {
        return Err(failure(tools, source, &ended));
    }
    said.and_then(|said| String::from_utf8(said).ok())
        .ok_or_else(|| failure(tools, source, &ended))
}

/// `30000/1001` as a number; none for `0/0`.
fn ratio(text: &str) -> Option<f64> {
    let (over, under) = text.split_once('/')?;
    let rate = over.parse::<f64>().ok()? / under.parse::<f64>().ok()?;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

// `ffprobe`'s own names.

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    #[serde(default)]
    format_name: String,
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    codec_name: Option<String>,
    pix_fmt: Option<String>,
    #[serde(default)]
    width: u64,
    #[serde(default)]
    height: u64,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    duration: Option<String>,
    nb_frames: Option<String>,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Tags {
    rotate: Option<String>,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_quotient() {
        assert_eq!(ratio("30000/1001"), Some(30000.0 / 1001.0));
    }

    #[test]
    fn an_unknown_rate_is_none() {
        assert_eq!(ratio("0/0"), None);
    }
}
