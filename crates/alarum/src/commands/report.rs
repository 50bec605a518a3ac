//! `alarum report`: what a run came to, in the terminal and as one HTML file. A run is an evaluation, a
//! training, or a chain of trainings; its folder says which.

use std::path::Path;

use anyhow::{Context, Result};
use bench::Run;

use crate::args::Report;
use crate::progress::{UserError, print, print_line, say};
use crate::report::training::{self, page, stage};
use crate::report::{html, terminal};

pub(crate) fn run(arguments: &Report) -> Result<()> {
    let (folder, html_path) = (&arguments.run, arguments.html.as_deref());
    if stage::is_training(folder) {
        show_training(folder, html_path)
    } else if is_evaluation(folder) {
        show(folder, html_path)
    } else {
        Err(UserError(no_run(folder)).into())
    }
}

/// Prints the table of a scored run and writes its report, into the run's folder unless told otherwise.
pub(crate) fn show(folder: &Path, html_path: Option<&Path>) -> Result<()> {
    let run = Run::open(folder)?;
    let results = run
        .results()
        .context("the run is not scored yet: let `alarum eval` finish it")?;
    print_line(&terminal::table(&results, &run.taxonomy()?));
    let path = html_path.map_or_else(|| run.report_path(), Path::to_owned);
    write(&path, &html::render(&run)?)
}

/// Prints what a training run or a chain of them did so far and writes its report, into its folder unless
/// told otherwise.
pub(crate) fn show_training(folder: &Path, html_path: Option<&Path>) -> Result<()> {
    let stages = stage::stages(folder)?;
    print(&training::terminal::summary(&stages));
    let path = html_path.map_or_else(|| folder.join("report.html"), Path::to_owned);
    let name = std::path::absolute(folder)
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| folder.display().to_string());
    write(&path, &page::render(&name, &stages)?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("html.tmp");
    std::fs::write(&aside, text).with_context(|| format!("cannot write {}", aside.display()))?;
    std::fs::rename(&aside, path).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!("report: {}", path.display()));
    Ok(())
}

fn is_evaluation(folder: &Path) -> bool {
    folder.join("run.toml").is_file()
}

/// Why there is nothing to report, with the runs that were perhaps meant.
fn no_run(folder: &Path) -> String {
    let mut inside: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            (is_evaluation(&path) || stage::is_training(&path)).then(|| path.display().to_string())
        })
        .collect();
    inside.sort();
    let remedy = if inside.is_empty() {
        "give the folder that `alarum eval` or `alarum train` wrote with --out".to_owned()
    } else {
        format!("did you mean {}?", inside.join(" or "))
    };
    format!(
        "{} is no run: it holds neither run.toml of an evaluation nor events.jsonl of a training, itself or in \
         folders such as 1-sft; {remedy}",
        folder.display()
    )
}
