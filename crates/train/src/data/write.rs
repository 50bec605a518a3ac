//! Files of JSON values: written aside and renamed when they are whole.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Error;
use crate::error::At;

/// A file that is being written: JSONL, or a JSON array if its name ends with `.json`. Without
/// [`Writer::finish`] nothing of it stays.
pub(super) struct Writer {
    path: PathBuf,
    aside: PathBuf,
    file: BufWriter<File>,
    is_array: bool,
    written: usize,
    finished: bool,
}

impl Writer {
    pub(super) fn new(path: &Path) -> Result<Self, Error> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let aside = PathBuf::from(name);
        let file = BufWriter::new(File::create(&aside).at("write", &aside)?);
        Ok(Self {
            path: path.to_owned(),
            aside,
            file,
            is_array: path.extension().is_some_and(|ending| ending == "json"),
            written: 0,
            finished: false,
        })
    }

    pub(super) fn put(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let before = match (self.is_array, self.written) {
            (false, _) => "",
            (true, 0) => "[\n",
            (true, _) => ",\n",
        };
        self.written += 1;
        let line = serde_json::to_vec(value).map_err(std::io::Error::from);
        line.and_then(|line| {
            self.file.write_all(before.as_bytes())?;
            self.file.write_all(&line)?;
            self.file.write_all(if self.is_array { b"" } else { b"\n" })
        })
        .at("write", &self.aside)
    }

    /// Puts the file in its place.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        let end = match (self.is_array, self.written) {
            (false, _) => "",
            (true, 0) => "[]\n",
            (true, _) => "\n]\n",
        };
        let written = self.file.write_all(end.as_bytes());
        let synced = written
            .and_then(|()| self.file.flush())
            .and_then(|()| self.file.get_ref().sync_all());
        synced.at("write", &self.aside)?;
        std::fs::rename(&self.aside, &self.path).at("rename", &self.aside)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            let _nothing_more_can_be_done = std::fs::remove_file(&self.aside);
        }
    }
}
