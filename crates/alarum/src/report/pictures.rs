//! Pictures of frames, each written into the page once and shown wherever it is needed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bench::thumbnails;
use serde::Serialize;

/// The most pictures of one sample.
const MOST: usize = 6;
/// A small JPEG is far below; a larger file is not one of ours.
const LARGEST: u64 = 200_000;

/// A picture in the page.
#[derive(Serialize)]
pub(crate) struct Picture {
    /// Pixels.
    width: u16,
    height: u16,
    /// As base64.
    jpeg: String,
}

/// Where a sample shows a picture.
#[derive(Clone, Serialize)]
pub(crate) struct Shown {
    /// Index into the page's pictures; nothing if there is no picture of this frame.
    picture: Option<usize>,
    width: u16,
    height: u16,
    seconds: String,
}

/// The pictures of a page, in the order of their first use.
pub(crate) struct Pictures {
    folder: PathBuf,
    known: HashMap<PathBuf, Option<usize>>,
    pictures: Vec<Picture>,
}

impl Pictures {
    /// None yet; read from a run's `frames/`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            known: HashMap::new(),
            pictures: Vec::new(),
        }
    }

    /// All that were shown.
    pub(crate) fn into_all(self) -> Vec<Picture> {
        self.pictures
    }

    /// At most [`MOST`] frames of a video, evenly spread over those that the model saw at `seconds`.
    pub(crate) fn of(&mut self, video_sha256: &str, seconds: &[f64]) -> Vec<Shown> {
        let saved = thumbnails::shown(seconds.len());
        let show = |index: usize| self.shown(video_sha256, saved[index], seconds[saved[index]]);
        spread(saved.len()).into_iter().map(show).collect()
    }

    fn shown(&mut self, video_sha256: &str, frame: usize, seconds: f64) -> Shown {
        let seconds = format!("{seconds:.1} s");
        let picture = self.find(video_sha256, frame);
        let (width, height) = picture.map_or((16, 9), |index| {
            let Picture { width, height, .. } = self.pictures[index];
            (width, height)
        });
        Shown {
            picture,
            width,
            height,
            seconds,
        }
    }

    fn find(&mut self, video_sha256: &str, frame: usize) -> Option<usize> {
        // The hash comes from a file: it names a folder of this run, never another place.
        if video_sha256.is_empty() || !video_sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let path = thumbnails::folder(&self.folder, video_sha256).join(format!("{frame}.jpg"));
        if let Some(known) = self.known.get(&path) {
            return *known;
        }
        let picture = read(&path);
        let index = picture.is_some().then_some(self.pictures.len());
        self.pictures.extend(picture);
        self.known.insert(path, index);
        index
    }
}

/// Indices of at most [`MOST`] of `count` things: the first, the last, and even steps between.
fn spread(count: usize) -> Vec<usize> {
    let most = count.min(MOST);
    (0..most)
        .map(|i| {
            if most == 1 {
                0
            } else {
                i * (count - 1) / (most - 1)
            }
        })
        .collect()
}

fn read(path: &Path) -> Option<Picture> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let (width, height) = size(&bytes)?;
    Some(Picture {
        width,
        height,
        jpeg: base64(&bytes),
    })
}

/// Width and height of a JPEG, from its start-of-frame segment (ITU-T T.81, B.2.2).
fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, high, low, body @ ..] = rest else {
            return None;
        };
        // C4, C8 and CC are no frames: Huffman tables, reserved, arithmetic conditioning.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let [_precision, h1, h0, w1, w0, ..] = body else {
                return None;
            };
            let (width, height) = (
                u16::from_be_bytes([*w1, *w0]),
                u16::from_be_bytes([*h1, *h0]),
            );
            return (width > 0 && height > 0).then_some((width, height));
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = body.get(length.checked_sub(2)?..)?;
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_vectors_of_its_rfc() {
        let encoded =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(
            encoded,
            [
                "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"
            ]
        );
    }

    #[test]
    fn the_size_of_a_picture_is_read_from_its_bytes() {
        let mut bytes = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
        image::RgbImage::new(31, 17)
            .write_with_encoder(encoder)
            .unwrap();
        assert_eq!(size(&bytes), Some((31, 17)));
    }

    #[test]
    fn what_is_no_jpeg_has_no_size() {
        for bytes in [
            &b""[..],
            b"\x89PNG\r\n",
            b"\xff\xd8",
            b"\xff\xd8\xff\xe0\x00\x00",
            b"\xff\xd8\xff\xc0\x00\x11\x08",
        ] {
            assert_eq!(size(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_first_and_the_last_are_among_the_pictures() {
        assert_eq!(spread(16), [0, 3, 6, 9, 12, 15]);
        assert_eq!(
            (spread(0), spread(1), spread(3)),
            (vec![], vec![0], vec![0, 1, 2])
        );
    }

    #[test]
    fn a_hash_that_is_a_path_finds_nothing() {
        let mut pictures = Pictures::new(PathBuf::from("."));
        for hash in ["", "..", "../../etc", "ab/cd", "ééééééééééé"] {
            assert!(pictures.find(hash, 0).is_none(), "{hash}");
        }
    }
}
