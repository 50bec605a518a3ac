//! One process at a time works on a run.

use std::fs::File;
use std::path::Path;

use crate::error::{At, Error, Result};

/// Takes the run's lock, which the system gives back when this process ends, however it ends.
pub(super) fn take(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .at("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy {
            run: folder.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(Error::File {
            action: "lock",
            path,
            source,
        }),
    }
}
