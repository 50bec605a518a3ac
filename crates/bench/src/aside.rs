//! Whole files, written aside and renamed: a reader sees the old file or the new one, never a part.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{At, Result};

/// Puts `bytes` in the place of `path`; they are on the disk when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = write(path, bytes)?;
    File::open(&aside)
        .and_then(|file| file.sync_all())
        .at("write", &aside)?;
    std::fs::rename(&aside, path).at("rename", &aside)?;
    sync_folder(path)
}

/// The same for what can be made again: whole for every reader, but a power cut may lose it.
pub(crate) fn replace_cheaply(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = write(path, bytes)?;
    std::fs::rename(&aside, path).at("rename", &aside)
}

/// Makes the name of a new file in the folder of `path` durable: syncing the file itself does not.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .at("write", folder)
}

/// A name beside `path` that no other thread or process writes to.
pub(crate) fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{count}.tmp", std::process::id()));
    PathBuf::from(name)
}

fn write(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let aside = beside(path);
    let written = File::create(&aside).and_then(|mut file| file.write_all(bytes));
    if let Err(source) = written {
        let _nothing_more_can_be_done = std::fs::remove_file(&aside);
        return Err(source).at("write", &aside);
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_threads_may_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| replace_cheaply(&path, b"whole").unwrap()));
            }
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = replace(Path::new("/nowhere/file"), b"").unwrap_err();
        assert!(error.to_string().contains("/nowhere/file"), "{error}");
    }
}
