//! What can go wrong with a benchmark or a run, apart from its single samples.

use std::path::{Path, PathBuf};

/// Why a benchmark or a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `write`, ...
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The run in this folder was made with other settings.
    #[error(
        "{} holds a run with other settings ({differences}): give another folder, or the same settings to resume it",
        run.display()
    )]
    OtherSettings {
        /// The run's folder.
        run: PathBuf,
        /// Each differing key with both values.
        differences: String,
    },
    /// A run that was opened to be read cannot be added to.
    #[error("{} was opened to be read: begin the run to add to it", run.display())]
    ReadOnly {
        /// The run's folder.
        run: PathBuf,
    },
    /// Another process is working on this run.
    #[error("another process is working on {}: wait for it to end", run.display())]
    Busy {
        /// The run's folder.
        run: PathBuf,
    },
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Says what was done to which path when it failed.
pub(crate) trait At<T> {
    /// Adds the action and the path.
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}
