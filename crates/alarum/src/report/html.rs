//! The report of a run as one HTML file that needs nothing else.

use anyhow::Context;
use bench::Run;

/// The whole page. The same run gives the same bytes.
///
/// # Errors
/// If the run was not scored, or a file of it cannot be read.
pub(crate) fn render(run: &Run) -> anyhow::Result<String> {
    let results = run.results().context("the run has no scores yet")?;
    let mut environment = minijinja::Environment::new();
    environment.add_template("report.html", "<!doctype html><title>{{ model }}</title><p>{{ finding }}</p><pre>{{ table }}</pre>")?;
    let table = super::terminal::table(&results, &run.taxonomy()?);
    let finding = super::words::finding(&results);
    Ok(environment.get_template("report.html")?.render(minijinja::context! { model => results.model, finding, table })?)
}
