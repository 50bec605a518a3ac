//! One process at a time in a run's folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::Error;
use crate::error::At;

/// Held as long as it lives; the system frees it when the process dies, however it dies.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started holds a copy of the open
        // file until its own program begins.
        let _closing_comes_next = self.0.unlock();
    }
}

impl Lock {
    /// Takes the folder, or says that another process has it.
    pub(crate) fn take(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(".lock");
        let file = File::create(&path).at("create", &path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Busy {
                path: folder.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(source).at("lock", &path),
        }
    }
}
