//! A journal with bad lines becomes one without: for a disk that failed, or a file that was edited.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Entries, Entry};
use crate::Run;
use crate::aside::{beside, sync_folder};
use crate::error::{At, Error, Result};

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Records kept, byte for byte.
    pub kept: usize,
    /// Lines that were no record, or a record for the second time; from 1.
    pub bad: Vec<usize>,
    /// The journal as it was; nothing if it had no bad line and was not touched.
    pub original: Option<PathBuf>,
}

/// Leaves the bad lines out of a run's journal. The journal as it was is kept beside it, so nothing is
/// lost; what the bad lines were about is asked again when the run is resumed.
///
/// # Errors
/// If the run was opened to be read, or a file cannot be read or written.
pub fn repair(run: &Run) -> Result<Repaired> {
    if !run.is_ours() {
        return Err(Error::ReadOnly {
            run: run.folder.clone(),
        });
    }
    let path = run.journal_path();
    let file = File::open(&path).at("open", &path)?;
    let aside = beside(&path);
    let mut good = BufWriter::new(File::create(&aside).at("create", &aside)?);
    let mut entries = Entries::new(&file);
    let (mut kept, mut bad) = (0, Vec::new());
    while let Some((entry, bytes)) = entries.next().at("read", &path)? {
        match entry {
            Entry::Bad(_) => bad.push(entries.number),
            Entry::Record(_) => {
                kept += 1;
                good.write_all(&bytes)
                    .and_then(|()| good.write_all(b"\n"))
                    .at("write", &aside)?;
            }
        }
    }
    if bad.is_empty() {
        std::fs::remove_file(&aside).at("remove", &aside)?;
        return Ok(Repaired {
            kept,
            bad,
            original: None,
        });
    }
    let good = good
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .at("write", &aside)?;
    good.sync_all().at("write", &aside)?;
    let original = keep(&path)?;
    std::fs::rename(&aside, &path).at("rename", &aside)?;
    sync_folder(&path)?;
    Ok(Repaired {
        kept,
        bad,
        original: Some(original),
    })
}

/// Gives the journal a second name that nothing has yet.
fn keep(path: &Path) -> Result<PathBuf> {
    for number in 1.. {
        let name = path.with_extension(format!("bad-{number}.jsonl"));
        match std::fs::hard_link(path, &name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            // Some file systems have no links.
            Err(_) => {
                std::fs::copy(path, &name).at("write", &name)?;
                return Ok(name);
            }
        }
    }
    unreachable!("numbers do not end")
}
