//! `alarum repair`: a run whose journal has lines that nobody can read becomes one that resumes.

use std::path::Path;

use anyhow::Result;
use bench::Run;

use crate::progress::print_line;

pub(crate) fn run(folder: &Path) -> Result<()> {
    let repaired = bench::journal::repair(&Run::take(folder)?)?;
    print_line(&match repaired.original {
        None => format!(
            "every line is a record, {} in all: nothing to repair",
            repaired.kept
        ),
        Some(original) => format!(
            "{} records kept, {} lines set aside; the journal as it was is {}",
            repaired.kept,
            repaired.bad.len(),
            original.display()
        ),
    });
    Ok(())
}
