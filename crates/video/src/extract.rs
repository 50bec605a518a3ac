//! One pass of `ffmpeg` over a file: chosen frames as PPM pictures through a pipe.
//!
//! PPM rather than headerless RGB: each frame says its own size, so nothing need be believed that
//! the file's header said.

use std::ffi::OsString;
use std::io::{BufReader, Read};
use std::process::ChildStdout;
use std::sync::mpsc::SyncSender;

use crate::child::{Child, Ended, last_words};
use crate::limits::Deadline;
use crate::source::Source;
use crate::{Decoder, Error, FrameSize};

/// Containers that hold their own frames. Playlists and manifests (HLS, DASH, concat, SDP, image
/// sequences) are not among them: they make ffmpeg open other files. Sound formats are here so that
/// a sound file is told apart from rubbish.
const FORMATS: &str = "mov,matroska,avi,flv,asf,mpegts,mpeg,mpegvideo,m4v,h264,hevc,h263,obu,av1,ivf,ogg,rm,\
    mxf,nut,dv,wtv,yuv4mpegpipe,mjpeg,gif,apng,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,\
    mp3,wav,flac,aac,ac3,amr,aiff";

/// More indices than this are not handed to ffmpeg, whose command line has an end: all frames come,
/// and are chosen here.
const SELECTABLE: usize = 2000;

/// One frame as it came out of the pipe.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rgb: Vec<u8>,
}

/// Which frames one pass keeps.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    /// Resample to this rate first.
    pub(crate) fps: Option<f64>,
    pub(crate) keep: Keep<'a>,
    pub(crate) size: FrameSize,
}

/// Of the frames, resampled or native.
#[derive(Clone, Copy)]
pub(crate) enum Keep<'a> {
    /// All, unless there are more: then none, but they are counted.
    UpTo(usize),
    /// Those at these ascending, distinct indices.
    Indices(&'a [usize]),
}

/// What one pass gave.
pub(crate) struct Extracted {
    pub(crate) pictures: Vec<Picture>,
    /// How many frames there were to choose from.
    pub(crate) total: usize,
}

/// How to open the file: by both programs, for reading this file and no other.
pub(crate) fn input(tools: &Decoder, source: &Source) -> Vec<OsString> {
    let limits = &tools.limits;
    let words = [
        "-protocol_whitelist".into(),
        "file".into(),
        "-format_whitelist".into(),
        FORMATS.into(),
        "-threads".into(),
        limits.threads.max(1).to_string(),
        "-max_pixels".into(),
        limits.frame_pixels.to_string(),
        "-i".into(),
    ];
    let mut words: Vec<OsString> = words.map(OsString::from).into();
    words.push(source.url());
    words
}

/// Runs one pass.
pub(crate) fn extract(
    tools: &Decoder,
    source: &Source,
    pass: Pass<'_>,
    deadline: &Deadline,
) -> Result<Extracted, Error> {
    let limits = tools.limits;
    let mut child = Child::start(
        &tools.ffmpeg,
        arguments(tools, source, pass),
        deadline,
        move |stdout, send| {
            read_pictures(stdout, limits.frame_pixels, &send);
        },
    )?;
    let path = || source.named.clone();
    let mut pictures: Vec<Picture> = Vec::new();
    let (mut bytes, mut total) = (0, 0);
    while let Some(read) = child.next()? {
        let picture = match read {
            Ok(picture) => picture,
            Err(Garbled::Rubbish) => break,
            Err(Garbled::TooLarge { width, height }) => {
                return Err(Error::Pixels {
                    path: path(),
                    width,
                    height,
                    limit: limits.frame_pixels,
                });
            }
        };
        total += 1;
        if let Keep::UpTo(most) = pass.keep
            && total > most
        {
            pictures = Vec::new();
            continue;
        }
        if let Keep::Indices(indices) = pass.keep
            && indices.len() > SELECTABLE
            && indices.binary_search(&(total - 1)).is_err()
        {
            continue;
        }
        bytes += picture.rgb.len() as u64;
        if pictures.len() == limits.frames {
            return Err(Error::Frames {
                path: path(),
                limit: limits.frames,
            });
        }
        if bytes > limits.output_bytes {
            return Err(Error::Output {
                path: path(),
                limit: limits.output_bytes,
            });
        }
        pictures.push(picture);
    }
    let ended = child.finish()?;
    let said = last_words(&ended.tail, &source.url());
    if !ended.status.success() {
        return Err(failure(tools, source, &ended));
    }
    if !said.is_empty() {
        tracing::warn!(path = %source.named.display(), said, "damaged video");
    }
    if let Keep::Indices(_) = pass.keep {
        total = counted(&ended.tail).ok_or_else(|| Error::Decode { path: path(), said })?;
    }
    Ok(Extracted { pictures, total })
}

/// Why either program gave up, by its last words.
pub(crate) fn failure(tools: &Decoder, source: &Source, ended: &Ended) -> Error {
    let path = source.named.clone();
    match too_large(&ended.tail) {
        Some((width, height)) => Error::Pixels {
            path,
            width,
            height,
            limit: tools.limits.frame_pixels,
        },
        None => Error::Decode {
            path,
            said: last_words(&ended.tail, &source.url()),
        },
    }
}

/// The size in `Picture size 64x48 exceeds specified max pixel count`.
fn too_large(tail: &str) -> Option<(u64, u64)> {
    let (before, _) = tail.split_once(" exceeds specified max pixel count")?;
    let (width, height) = before.rsplit_once(' ')?.1.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

fn arguments(tools: &Decoder, source: &Source, pass: Pass<'_>) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["-nostdin", "-hide_banner", "-loglevel", "error"]
        .map(Into::into)
        .into();
    words.extend(input(tools, source));
    // Later releases warn of `-vsync`, earlier ones know no other name for it.
    let output = [
        "-map",
        "0:V:0",
        "-an",
        "-sn",
        "-dn",
        "-vsync",
        "passthrough",
    ];
    // The second one repeats the first frame of a stream that starts late, as ffmpeg itself does for
    // outputs of a constant rate.
    let resample = pass
        .fps
        .map(|fps| format!("fps=fps={fps}:round=down,fps=fps={fps}:start_time=0"));
    let mut filters: Vec<String> = resample.iter().cloned().collect();
    if let Keep::Indices(indices) = pass.keep {
        // Decoded once, written twice: to nowhere, which counts, and the chosen ones to us.
        words.extend(["-progress", "pipe:2"].map(Into::into));
        words.extend(output.map(Into::into));
        words.extend(
            resample
                .iter()
                .flat_map(|filter| ["-vf".into(), filter.into()]),
        );
        words.extend(["-f", "null", "-"].map(Into::into));
        if indices.len() <= SELECTABLE {
            filters.push(format!("select={}", any_of(indices)));
        }
    }
    filters.extend(match pass.size {
        FrameSize::Native => None,
        FrameSize::Exact { width, height } => Some(format!("scale={width}:{height}")),
        FrameSize::Within { long_edge: edge } => Some(format!(
            "scale=min(iw\\,{edge}):min(ih\\,{edge}):force_original_aspect_ratio=decrease"
        )),
    });
    words.extend(output.map(Into::into));
    if !filters.is_empty() {
        words.extend(["-vf".into(), filters.join(",").into()]);
    }
    words.extend(
        [
            "-pix_fmt",
            "rgb24",
            "-c:v",
            "ppm",
            "-f",
            "image2pipe",
            "pipe:1",
        ]
        .map(Into::into),
    );
    words
}

/// An expression that is 1 for the frames at these indices: a tree, because ffmpeg evaluates it for
/// every frame and refuses long chains.
fn any_of(indices: &[usize]) -> String {
    match indices {
        [] => "0".into(),
        [index] => format!("eq(n\\,{index})"),
        _ => {
            let (below, above) = indices.split_at(indices.len() / 2);
            format!(
                "if(lt(n\\,{})\\,{}\\,{})",
                above[0],
                any_of(below),
                any_of(above)
            )
        }
    }
}

/// The last `frame=` line of `-progress`.
fn counted(tail: &str) -> Option<usize> {
    let last = tail
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("frame="));
    last?.trim().parse().ok()
}

/// Why the pipe's content is no picture.
enum Garbled {
    TooLarge { width: u64, height: u64 },
    Rubbish,
}

fn read_pictures(
    stdout: ChildStdout,
    most_pixels: u64,
    send: &SyncSender<Result<Picture, Garbled>>,
) {
    let mut pipe = BufReader::with_capacity(1 << 16, stdout);
    while let Some(read) = read_picture(&mut pipe, most_pixels).transpose() {
        let last = read.is_err();
        // A closed channel means that the frames are no longer wanted.
        if send.send(read).is_err() || last {
            return;
        }
    }
}

/// The next picture; none at the end of the pipe, or where it was cut short.
fn read_picture(pipe: &mut impl Read, most_pixels: u64) -> Result<Option<Picture>, Garbled> {
    let Some(magic) = word(pipe) else {
        return Ok(None);
    };
    let mut number = || word(pipe)?.parse::<u32>().ok();
    let (Some(width), Some(height), Some(255)) = (number(), number(), number()) else {
        return Err(Garbled::Rubbish);
    };
    if magic != "P6" || width == 0 || height == 0 {
        return Err(Garbled::Rubbish);
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > most_pixels {
        return Err(Garbled::TooLarge {
            width: width.into(),
            height: height.into(),
        });
    }
    let mut rgb = vec![0; pixels as usize * 3];
    pipe.read_exact(&mut rgb).map_err(|_| Garbled::Rubbish)?;
    Ok(Some(Picture { width, height, rgb }))
}

/// The bytes up to the next white space, which is taken along.
fn word(pipe: &mut impl Read) -> Option<String> {
    let mut word = String::new();
    let mut byte = [0];
    while word.len() < 16 {
        pipe.read_exact(&mut byte).ok()?;
        if byte[0].is_ascii_whitespace() {
            return Some(word);
        }
        word.push(char::from(byte[0]));
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pipe: &[u8], want: Option<&[u8]>) {
        let read = read_picture(&mut &pipe[..], 100).ok().flatten();
        assert_eq!(read.map(|picture| picture.rgb).as_deref(), want, "{pipe:?}");
    }

    #[test]
    fn the_tree_of_indices_asks_for_each_once() {
        let want = "if(lt(n\\,4)\\,eq(n\\,0)\\,if(lt(n\\,9)\\,eq(n\\,4)\\,eq(n\\,9)))";
        assert_eq!(any_of(&[0, 4, 9]), want);
    }

    #[test]
    fn a_picture_says_its_own_size() {
        check(b"P6\n2 1\n255\nabcdef", Some(b"abcdef"));
    }

    #[test]
    fn a_picture_cut_short_is_no_picture() {
        check(b"P6\n2 1\n255\nabcde", None);
    }

    #[test]
    fn a_size_of_zero_is_rubbish() {
        check(b"P6\n0 1\n255\n", None);
    }

    #[test]
    fn more_pixels_than_allowed_are_not_read() {
        check(b"P6\n4294967295 4294967295\n255\nabc", None);
    }

    #[test]
    fn the_last_count_is_the_count() {
        assert_eq!(
            counted("frame=3\nspeed=1x\nframe=70\nprogress=end\n"),
            Some(70)
        );
    }
}
