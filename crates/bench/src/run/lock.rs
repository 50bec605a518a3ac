//! One process at a time works on a run.

use std::fs::File;
use std::path::Path;

use crate::error::{At, Error, Result};

/// The lock of a run. The system gives it back when this process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started holds a copy of the open
        // file until its own program begins.
        let _closing_comes_next = self.0.unlock();
    }
}

/// Takes the run's lock.
pub(super) fn take(folder: &Path) -> Result<Lock> {
    let path = folder.join(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .at("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_free_when_it_is_dropped_though_a_child_process_holds_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let lock = take(folder.path()).unwrap();
        let _as_a_child_would = lock.0.try_clone().unwrap();
        assert!(matches!(take(folder.path()), Err(Error::Busy { .. })));
        drop(lock);
        take(folder.path()).unwrap();
    }
}
