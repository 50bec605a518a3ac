//! Small pictures of the frames that the model saw, once for each video, so that a report can show them.

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use video::Clip;

use crate::aside::replace_cheaply;
use crate::error::{At, Error, Result};

/// Longer side of a picture in pixels.
const LONG_EDGE: u32 = 160;
const QUALITY: u8 = 80;
/// Pictures of one video; of more frames, evenly spread ones.
const MOST: usize = 16;

/// Where the pictures of a video are, under a run's `frames/`: named by the video's content.
pub fn folder(frames: &Path, source_sha256: &str) -> PathBuf {
    // A benchmark's own words are no path: what is no hash names a folder that is never written.
    if source_sha256.is_empty() || !source_sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        return frames.join("none");
    }
    frames.join(&source_sha256[..source_sha256.len().min(16)])
}

/// Indices of the frames that have a picture, of `count`.
pub fn shown(count: usize) -> Vec<usize> {
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

/// Saves the pictures of a clip under `frames`, unless they are there.
///
/// # Errors
/// If a file cannot be written.
pub fn save(clip: &Clip, frames: &Path) -> Result<()> {
    let folder = folder(frames, &clip.source_sha256);
    for index in shown(clip.frames.len()) {
        let path = folder.join(format!("{index}.jpg"));
        // An empty file is what a power cut leaves.
        if std::fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() > 0) {
            continue;
        }
        std::fs::create_dir_all(&folder).at("create", &folder)?;
        let bytes = jpeg(&clip.frames[index]).map_err(|error| Error::Invalid {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        replace_cheaply(&path, &bytes)?;
    }
    Ok(())
}

fn jpeg(frame: &video::Frame) -> image::ImageResult<Vec<u8>> {
    let picture = image::RgbImage::from_raw(frame.width, frame.height, frame.rgb.clone())
        .expect("a frame holds width × height × 3 bytes");
    let scale = (f64::from(LONG_EDGE) / f64::from(frame.width.max(frame.height))).min(1.0);
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    let small = image::imageops::thumbnail(&picture, side(frame.width), side(frame.height));
    let mut bytes = Vec::new();
    small.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_frames_are_all_shown() {
        assert_eq!(shown(3), [0, 1, 2]);
        assert_eq!(shown(1), [0]);
        assert_eq!(shown(0), Vec::<usize>::new());
    }

    #[test]
    fn a_hash_that_is_a_path_stays_in_the_folder() {
        for hash in ["", "../../../../etc/", "/etc", "ééééééééééé"] {
            assert_eq!(folder(Path::new("frames"), hash), Path::new("frames/none"));
        }
    }

    #[test]
    fn pictures_are_small_and_of_the_same_shape() {
        let folder = tempfile::tempdir().unwrap();
        let frame = video::Frame {
            width: 640,
            height: 320,
            rgb: [200, 30, 10].repeat(640 * 320),
            seconds: video::Seconds(0.0),
        };
        let clip = Clip {
            frames: vec![frame],
            source_sha256: "0123456789abcdef0123".to_owned(),
        };
        save(&clip, folder.path()).unwrap();
        let picture = image::open(folder.path().join("0123456789abcdef/0.jpg")).unwrap();
        assert_eq!((picture.width(), picture.height()), (160, 80));
        let pixel = picture.to_rgb8().get_pixel(80, 40).0;
        let near = |i: usize, wanted: u8| pixel[i].abs_diff(wanted) < 8;
        assert!(near(0, 200) && near(1, 30) && near(2, 10), "{pixel:?}");
    }

    #[test]
    fn of_many_frames_the_first_and_the_last_are_shown() {
        let shown = shown(180);
        assert_eq!((shown.len(), shown[0], shown[15]), (16, 0, 179));
    }
}
