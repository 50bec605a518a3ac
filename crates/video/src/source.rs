//! The door: a path is looked at once, and only regular local files pass.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::{Error, Limits};

/// A regular, readable, non-empty file of bearable size.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As the user wrote it: what messages name.
    pub(crate) named: PathBuf,
    /// Absolute, symbolic links resolved.
    resolved: PathBuf,
}

impl Source {
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let read = |source| Error::Read {
            path: path.into(),
            source,
        };
        let resolved = fs::canonicalize(path).map_err(read)?;
        let metadata = fs::metadata(&resolved).map_err(read)?;
        if !metadata.is_file() {
            return Err(Error::NotAFile {
                path: path.into(),
                kind: kind(&metadata),
            });
        }
        fs::File::open(&resolved).map_err(read)?;
        let bytes = metadata.len();
        if bytes == 0 {
            return Err(Error::Empty { path: path.into() });
        }
        if bytes > limits.file_bytes {
            return Err(Error::TooBig {
                path: path.into(),
                bytes,
                limit: limits.file_bytes,
            });
        }
        Ok(Self {
            named: path.into(),
            resolved,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.resolved
    }

    /// For ffmpeg's command line: never taken for an option, another protocol or a pattern.
    pub(crate) fn url(&self) -> OsString {
        let mut url = OsString::from("file:");
        url.push(&self.resolved);
        url
    }
}

fn kind(metadata: &Metadata) -> &'static str {
    let file = metadata.file_type();
    if file.is_dir() {
        "a folder"
    } else if file.is_fifo() {
        "a named pipe"
    } else if file.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
