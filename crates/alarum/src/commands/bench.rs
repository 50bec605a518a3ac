//! `alarum bench check`: names every bad line of a benchmark folder.

use anyhow::Result;

use crate::args::Bench;
use crate::progress::{UserError, print_line};

pub(crate) fn run(command: &Bench) -> Result<()> {
    let Bench::Check { folder } = command;
    let report = bench::format::check(folder)?;
    for problem in &report.problems {
        print_line(&problem.to_string());
    }
    print_line(&report.summary());
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(UserError(format!("{} is not a good benchmark yet", folder.display())).into())
}
