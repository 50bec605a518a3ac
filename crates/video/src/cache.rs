//! Decoded clips on disk, one file each.
//!
//! An entry is named by what it was made from and never changed. Layout: one line of JSON, the
//! frames' pixels one after another, and the SHA-256 of all before it (32 bytes).

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Frame, FrameSize, Limits, Sampling, Seconds, hash};

/// Part of each entry's name: entries of another layout, or made by other rules, are not looked at.
const VERSION: u32 = 1;

/// A folder of decoded clips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Made when the first clip is stored.
    pub folder: PathBuf,
    /// When it grows beyond this, the oldest clips go.
    pub most_bytes: Option<u64>,
}

impl Cache {
    /// A cache in `folder`, without a bound.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            most_bytes: None,
        }
    }

    pub(crate) fn entry(
        &self,
        source_sha256: &str,
        sampling: Sampling,
        size: FrameSize,
    ) -> Entry<'_> {
        let key = serde_json::to_string(&(VERSION, source_sha256, sampling, size))
            .expect("numbers and strings are always JSON");
        let name = format!("{}.frames", hash::bytes(key.as_bytes()));
        Entry {
            cache: self,
            path: self.folder.join(name),
        }
    }

    fn shrink(&self, keep: &Path) -> io::Result<()> {
        let Some(most) = self.most_bytes else {
            return Ok(());
        };
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "frames")
                && let Ok(metadata) = entry.metadata()
            {
                entries.push((metadata.modified()?, metadata.len(), path));
            }
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|entry| entry.1).sum();
        for (_, length, path) in entries.iter().filter(|entry| entry.2 != keep) {
            if bytes <= most {
                break;
            }
            // Another process may have removed it first.
            drop(fs::remove_file(path));
            bytes -= length;
        }
        Ok(())
    }
}

/// The place of one clip.
pub(crate) struct Entry<'a> {
    cache: &'a Cache,
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    width: u32,
    height: u32,
    seconds: Vec<Seconds>,
}

impl Entry<'_> {
    /// The stored frames; none if they were never stored, are damaged or too large.
    pub(crate) fn read(&self, limits: &Limits) -> Option<Vec<Frame>> {
        let file = File::open(&self.path).ok()?;
        let most = limits.output_bytes.saturating_add(1 << 20);
        if file.metadata().ok()?.len() > most {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).ok()?;
        let frames = parse(&bytes);
        if frames.is_none() {
            tracing::warn!(entry = %self.path.display(), "damaged frame cache entry");
        }
        frames.filter(|frames| frames.len() <= limits.frames)
    }

    /// Stores the frames: written aside, then renamed.
    pub(crate) fn write(&self, frames: &[Frame]) -> Result<(), Error> {
        self.store(frames).map_err(|source| Error::Cache {
            path: self.path.clone(),
            source,
        })
    }

    fn store(&self, frames: &[Frame]) -> io::Result<()> {
        fs::create_dir_all(&self.cache.folder)?;
        let mut aside = tempfile::NamedTempFile::new_in(&self.cache.folder)?;
        let header = Header {
            version: VERSION,
            width: frames[0].width,
            height: frames[0].height,
            seconds: frames.iter().map(|frame| frame.seconds).collect(),
        };
        let mut line = serde_json::to_vec(&header)?;
        line.push(b'\n');
        let mut hash = Sha256::new();
        let mut out = BufWriter::new(aside.as_file_mut());
        for part in [line.as_slice()]
            .into_iter()
            .chain(frames.iter().map(|frame| frame.rgb.as_slice()))
        {
            hash.update(part);
            out.write_all(part)?;
        }
        out.write_all(&hash.finalize())?;
        out.flush()?;
        drop(out);
        aside.persist(&self.path)?;
        self.cache.shrink(&self.path)
    }
}

fn parse(bytes: &[u8]) -> Option<Vec<Frame>> {
    let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if Sha256::digest(content).as_slice() != digest {
        return None;
    }
    let line = content.iter().position(|&byte| byte == b'\n')?;
    let header: Header = serde_json::from_slice(&content[..line]).ok()?;
    let pixels = &content[line + 1..];
    let one = header.width as usize * header.height as usize * 3;
    if header.version != VERSION
        || one == 0
        || header.seconds.is_empty()
        || pixels.len() != one * header.seconds.len()
    {
        return None;
    }
    let frame = |(rgb, &seconds): (&[u8], &Seconds)| Frame {
        width: header.width,
        height: header.height,
        rgb: rgb.to_vec(),
        seconds,
    };
    Some(
        pixels
            .chunks_exact(one)
            .zip(&header.seconds)
            .map(frame)
            .collect(),
    )
}
