//! `alarum report`: the results of a run, in the terminal and as one HTML file.

use std::path::Path;

use anyhow::{Context, Result};
use bench::Run;

use crate::args::Report;
use crate::progress::{print_line, say};
use crate::report::{html, terminal};

pub(crate) fn run(arguments: &Report) -> Result<()> {
    show(&arguments.run, arguments.html.as_deref())
}

/// Prints the table of a scored run and writes its report, into the run's folder unless told otherwise.
pub(crate) fn show(folder: &Path, html_path: Option<&Path>) -> Result<()> {
    let run = Run::open(folder)?;
    let results = run
        .results()
        .context("the run is not scored yet: let `alarum eval` finish it")?;
    print_line(&terminal::table(&results, &run.taxonomy()?));
    let path = html_path.map_or_else(|| run.report_path(), Path::to_owned);
    let text = html::render(&run)?;
    let aside = path.with_extension("html.tmp");
    std::fs::write(&aside, text).with_context(|| format!("cannot write {}", aside.display()))?;
    std::fs::rename(&aside, &path).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!("report: {}", path.display()));
    Ok(())
}
