//! Still images: one is a clip of one frame, a folder of them is a video.

use std::fs;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageDecoder, ImageReader};

use crate::extract::{Keep, Pass, extract};
use crate::limits::Deadline;
use crate::source::Source;
use crate::{Clip, Decoder, Error, Frame, FrameSize, Sampling, Seconds, hash};

/// Files of a folder with other endings are passed over.
const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

impl Decoder {
    /// An image as a clip of one frame at time 0: upright, without its alpha channel.
    ///
    /// PNG and JPEG are read here, whatever the name's ending; other formats by ffmpeg.
    ///
    /// # Errors
    /// If it is no regular file, no image, or would break one of [`crate::Limits`].
    pub fn image(&self, path: &Path) -> Result<Clip, Error> {
        let source = Source::open(path, &self.limits)?;
        let frame = self.still(&source)?;
        Ok(Clip {
            frames: vec![frame],
            source_sha256: hash::file(source.path())?,
        })
    }

    /// The images of a folder in the order of their names' bytes, as a video of `fps` frames a
    /// second. `source_sha256` is the hash of the images' own hashes, one a line.
    ///
    /// # Errors
    /// If there is no image, one cannot be read, two differ in size, or [`crate::Limits`] are broken.
    pub fn folder(&self, path: &Path, fps: f64) -> Result<Clip, Error> {
        Sampling::Fps { fps, max_frames: 1 }.checked()?;
        let limits = &self.limits;
        let (mut frames, mut hashes, mut bytes) = (Vec::<Frame>::new(), String::new(), 0);
        for (i, path) in images(path)?.iter().enumerate() {
            if i == limits.frames {
                return Err(Error::Frames {
                    path: path.clone(),
                    limit: limits.frames,
                });
            }
            let source = Source::open(path, limits)?;
            let frame = Frame {
                seconds: Seconds(i as f64 / fps),
                ..self.still(&source)?
            };
            if let Some(first) = frames.first()
                && (first.width, first.height) != (frame.width, frame.height)
            {
                return Err(Error::MixedSizes {
                    path: path.clone(),
                    width: frame.width,
                    height: frame.height,
                    first_width: first.width,
                    first_height: first.height,
                });
            }
            bytes += frame.rgb.len() as u64;
            if bytes > limits.output_bytes {
                return Err(Error::Output {
                    path: path.clone(),
                    limit: limits.output_bytes,
                });
            }
            hashes += &hash::file(source.path())?;
            hashes.push('\n');
            frames.push(frame);
        }
        Ok(Clip {
            frames,
            source_sha256: hash::bytes(hashes.as_bytes()),
        })
    }

    /// A file through [`Decoder::video`] in its own size, a folder through [`Decoder::folder`] with
    /// the rate `folder_fps`; `sampling` is for files only.
    ///
    /// # Errors
    /// Those of the two.
    pub fn open(&self, path: &Path, sampling: Sampling, folder_fps: f64) -> Result<Clip, Error> {
        if path.is_dir() {
            self.folder(path, folder_fps)
        } else {
            self.video(path, sampling, FrameSize::Native)
        }
    }

    fn still(&self, source: &Source) -> Result<Frame, Error> {
        let bytes = fs::read(source.path()).map_err(|error| Error::Read {
            path: source.named.clone(),
            source: error,
        })?;
        match image::guess_format(&bytes) {
            Ok(image::ImageFormat::Png | image::ImageFormat::Jpeg) => {
                self.decoded_here(source, &bytes)
            }
            _ => self.decoded_by_ffmpeg(source),
        }
    }

    fn decoded_here(&self, source: &Source, bytes: &[u8]) -> Result<Frame, Error> {
        let failed = |error: image::ImageError| Error::Decode {
            path: source.named.clone(),
            said: error.to_string(),
        };
        let reader = ImageReader::new(BufReader::new(Cursor::new(bytes))).with_guessed_format();
        let reader = reader.map_err(|error| failed(error.into()))?;
        let mut decoder = reader.into_decoder().map_err(failed)?;
        let (width, height) = decoder.dimensions();
        let limit = self.limits.frame_pixels;
        let (width, height) = (u64::from(width), u64::from(height));
        if width * height > limit {
            return Err(Error::Pixels {
                path: source.named.clone(),
                width,
                height,
                limit,
            });
        }
        let orientation = decoder.orientation().map_err(failed)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
        image.apply_orientation(orientation);
        let rgb = image.into_rgb8();
        Ok(Frame {
            width: rgb.width(),
            height: rgb.height(),
            rgb: rgb.into_raw(),
            seconds: Seconds(0.0),
        })
    }

    fn decoded_by_ffmpeg(&self, source: &Source) -> Result<Frame, Error> {
        let deadline = Deadline::starting_now(&source.named, self.limits.deadline);
        let pass = Pass {
            fps: None,
            keep: Keep::Indices(&[0]),
            size: FrameSize::Native,
        };
        let picture = extract(self, source, pass, &deadline)?
            .pictures
            .into_iter()
            .next();
        let no_frames = || Error::NoFrames {
            path: source.named.clone(),
            said: String::new(),
        };
        let picture = picture.ok_or_else(no_frames)?;
        let (width, height) = (picture.width, picture.height);
        Ok(Frame {
            width,
            height,
            rgb: picture.rgb,
            seconds: Seconds(0.0),
        })
    }
}

/// The images of a folder in name order.
fn images(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read {
        path: folder.into(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(Error::NoImages {
            path: folder.into(),
        });
    }
    Ok(paths)
}
