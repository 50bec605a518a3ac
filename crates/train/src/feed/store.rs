//! Vision features on disk: one safetensors file for each video, named by everything that it was made
//! from, so that it never has to change.
//!
//! Tensors: `features` `[kept, E]`, `times` `[T]` in seconds, `kept` `[T]` tokens of each frame. A file
//! whose content does not match its own hash counts as absent.

// T frames, E width

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use model::sequence::Kept;
use model::template::Shown;
use safetensors::{SafeTensors, View};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::error::At;

/// Part of each name: files of another layout are not looked at.
pub(super) const VERSION: u32 = 1;
/// A larger file is none of ours.
const MOST_FILE_BYTES: u64 = 4 << 30;
/// What a killed process was writing is rubbish after this.
const ABANDONED: Duration = Duration::from_secs(3600);
const ENDING: &str = "safetensors";

/// What is kept of one video.
#[derive(Clone, Debug)]
pub(super) struct Features {
    /// `[kept, E]`
    pub(super) tensor: Tensor,
    pub(super) kept: Kept,
}

/// A folder of features.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    most_bytes: u64,
    /// What is there, as far as this process knows.
    bytes: Mutex<u64>,
}

impl Store {
    /// Of a folder that is there.
    pub(super) fn open(folder: &Path, most_bytes: u64) -> Result<Self, Error> {
        let mut bytes = 0;
        for (_, length, path) in entries(folder).at("read", folder)? {
            let abandoned = path.extension().is_some_and(|ending| ending == "tmp")
                && age(&path).is_some_and(|age| age > ABANDONED);
            if !(abandoned && fs::remove_file(&path).is_ok()) {
                bytes += length;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            most_bytes,
            bytes: Mutex::new(bytes),
        })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.{ENDING}"))
    }

    /// What was stored, or nothing if it never was or is damaged.
    pub(super) fn read(&self, key: &str, device: &Device) -> Option<Features> {
        let path = self.path(key);
        let length = fs::metadata(&path).ok()?.len();
        let bytes = (length <= MOST_FILE_BYTES)
            .then(|| fs::read(&path).ok())
            .flatten()?;
        let features = parse(&bytes, device);
        if features.is_none() {
            tracing::warn!(file = %path.display(), "damaged features are computed anew");
        }
        features
    }

    /// Stores features aside, then renames. A store that cannot be written, as on a full disk, costs
    /// time and not the run.
    pub(super) fn write(&self, key: &str, features: &Features) {
        let path = self.path(key);
        if let Err(error) = self.put(&path, features) {
            tracing::warn!(file = %path.display(), %error, "features cannot be kept");
        }
    }

    fn put(&self, path: &Path, features: &Features) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let bytes = serialized(features)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let aside = path.with_extension(format!("{}-{count}.tmp", std::process::id()));
        // Not synced: what a power cut takes is noticed by its hash and made again.
        let written = fs::write(&aside, &bytes).and_then(|()| fs::rename(&aside, path));
        if let Err(error) = written {
            let _nothing_more_can_be_done = fs::remove_file(&aside);
            return Err(error);
        }
        let mut total = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *total += bytes.len() as u64;
        if *total > self.most_bytes {
            *total = self.shrink(path)?;
        }
        Ok(())
    }

    /// Removes the oldest files, but not `keep`, until a tenth of the room is free; gives what is left.
    fn shrink(&self, keep: &Path) -> io::Result<u64> {
        let mut entries = entries(&self.folder)?;
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|entry| entry.1).sum();
        let goal = self.most_bytes - self.most_bytes / 10;
        for (_, length, path) in entries.iter().filter(|entry| entry.2 != keep) {
            if bytes <= goal {
                break;
            }
            // Another process may have removed it first.
            drop(fs::remove_file(path));
            bytes -= length;
        }
        Ok(bytes)
    }
}

/// Files of the store: when each was written, its bytes, its path.
fn entries(folder: &Path) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ours = path
            .extension()
            .is_some_and(|ending| ending == ENDING || ending == "tmp");
        // A file that went away meanwhile counts nothing.
        if ours && let Ok(metadata) = fs::metadata(&path) {
            entries.push((metadata.modified()?, metadata.len(), path));
        }
    }
    Ok(entries)
}

fn age(path: &Path) -> Option<Duration> {
    fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}

fn serialized(features: &Features) -> io::Result<Vec<u8>> {
    let times: Vec<f64> = match &features.kept.shown {
        Shown::Video(times) => times.clone(),
        Shown::Image => Vec::new(),
    };
    let kept: Vec<u32> = (features.kept.per_frame.iter())
        .map(|&count| u32::try_from(count).map_err(io::Error::other))
        .collect::<Result<_, _>>()?;
    let vector = |tensor: candle_core::Result<Tensor>| tensor.map_err(io::Error::other);
    let tensors = [
        ("features", vector(features.tensor.to_device(&Device::Cpu))?),
        ("kept", vector(Tensor::new(kept, &Device::Cpu))?),
        ("times", vector(Tensor::new(times, &Device::Cpu))?),
    ];
    let mut hash = Sha256::new();
    for (_, tensor) in &tensors {
        hash.update(tensor.data());
    }
    let digest = video::hash::bytes(&hash.finalize());
    let metadata = HashMap::from([("sha256".to_owned(), digest)]);
    let views = tensors.iter().map(|(name, tensor)| (*name, tensor));
    safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)
}

fn parse(bytes: &[u8], device: &Device) -> Option<Features> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let said = header.metadata().as_ref()?.get("sha256")?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let [features, kept, times] = ["features", "kept", "times"].map(|name| tensors.tensor(name));
    let (features, kept, times) = (features.ok()?, kept.ok()?, times.ok()?);
    let mut hash = Sha256::new();
    for view in [&features, &kept, &times] {
        hash.update(view.data());
    }
    if video::hash::bytes(&hash.finalize()) != *said {
        return None;
    }
    let cpu = &Device::Cpu;
    let tensor = features.load(device).ok()?;
    let kept: Vec<u32> = kept.load(cpu).ok()?.to_vec1().ok()?;
    let times: Vec<f64> = times.load(cpu).ok()?.to_vec1().ok()?;
    let per_frame: Vec<usize> = kept.into_iter().map(|count| count as usize).collect();
    let (rows, _) = tensor.dims2().ok()?;
    let shown = match times.len() {
        0 => Shown::Image,
        _ => Shown::Video(times),
    };
    let frames = match &shown {
        Shown::Image => 1,
        Shown::Video(times) => times.len(),
    };
    let float = matches!(tensor.dtype(), DType::F32 | DType::BF16 | DType::F16);
    let fits = float && frames == per_frame.len() && rows == per_frame.iter().sum::<usize>();
    fits.then_some(Features {
        tensor,
        kept: Kept { shown, per_frame },
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn features() -> Features {
        Features {
            tensor: Tensor::new(
                &[[1.0_f32, f32::MIN_POSITIVE], [-0.0, 3.5], [4.0, 5.0]],
                &Device::Cpu,
            )
            .unwrap(),
            kept: Kept {
                shown: Shown::Video(vec![0.0, 0.1]),
                per_frame: vec![2, 1],
            },
        }
    }

    fn bits(features: &Features) -> Vec<u32> {
        let values: Vec<f32> = features.tensor.flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    }

    fn store(most_bytes: u64) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), most_bytes).unwrap();
        (folder, store)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_stored_comes_back_bit_for_bit() {
        let (_folder, store) = store(u64::MAX);
        store.write("a", &features());
        let found = store.read("a", &Device::Cpu).unwrap();
        assert_eq!(bits(&found), bits(&features()));
        assert_eq!(found.kept, features().kept);
        assert!(store.read("b", &Device::Cpu).is_none());
    }

    #[test]
    fn a_file_with_one_wrong_byte_counts_as_absent() {
        let whole = serialized(&features()).unwrap();
        for i in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[i] ^= 1;
            if let Some(found) = parse(&damaged, &Device::Cpu) {
                // A byte of the header that says nothing, such as the padding.
                assert_eq!(
                    (bits(&found), found.kept),
                    (bits(&features()), features().kept)
                );
            }
        }
    }

    #[test]
    fn a_file_that_breaks_off_counts_as_absent() {
        let whole = serialized(&features()).unwrap();
        for length in 0..whole.len() {
            assert!(parse(&whole[..length], &Device::Cpu).is_none(), "{length}");
        }
    }

    #[test]
    fn the_oldest_go_when_there_is_no_more_room() {
        let one = serialized(&features()).unwrap().len() as u64;
        let (folder, store) = store(one * 5 / 2);
        for (age, key) in ["a", "b", "c"].into_iter().enumerate() {
            store.write(key, &features());
            let path = store.path(key);
            if path.exists() {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(age as u64);
                File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_modified(time)
                    .unwrap();
            }
        }
        assert_eq!(names(folder.path()), ["b.safetensors", "c.safetensors"]);
    }

    #[test]
    fn what_a_killed_process_left_is_no_entry_and_goes() {
        let (folder, store) = store(u64::MAX);
        let aside = folder.path().join("a.7-0.tmp");
        fs::write(&aside, &serialized(&features()).unwrap()[..50]).unwrap();
        assert!(store.read("a", &Device::Cpu).is_none());
        Store::open(folder.path(), u64::MAX).unwrap();
        assert_eq!(names(folder.path()), ["a.7-0.tmp"]);
        let old = SystemTime::now() - 2 * ABANDONED;
        File::options()
            .write(true)
            .open(&aside)
            .unwrap()
            .set_modified(old)
            .unwrap();
        Store::open(folder.path(), u64::MAX).unwrap();
        assert_eq!(names(folder.path()), [] as [&str; 0]);
    }

    #[test]
    fn a_folder_that_went_away_costs_no_run() {
        let (folder, store) = store(u64::MAX);
        drop(folder);
        store.write("a", &features());
        assert!(store.read("a", &Device::Cpu).is_none());
    }
}
