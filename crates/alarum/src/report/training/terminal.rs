//! A training run as text of at most 100 columns: a table of its stages, and each number's course.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::Stage;
use super::curves::{Panel, Scale, Series, panels};
use super::warnings::warnings;
use crate::report::numbers::{duration, grouped, large};
use crate::report::terminal::wrapped;
use crate::report::words::line;

/// Columns of a sparkline.
const WIDTH: usize = 40;
/// Columns of a name.
const NAME: usize = 26;

/// What the run did so far, ending in a line break.
pub(crate) fn summary(stages: &[Stage]) -> String {
    let mut text = format!(
        "{}\n\n{}\n",
        wrapped(&finding(stages)),
        table(stages).trim_fmt()
    );
    for stage in stages {
        let panels = panels(stage);
        if panels.is_empty() {
            continue;
        }
        text += &format!("\n{}\n", line(&stage.name, 80));
        for panel in &panels {
            for series in &panel.series {
                text += &course(panel, series);
            }
        }
    }
    let said: Vec<String> = said(stages);
    if !said.is_empty() {
        text += "\n";
        for warning in said {
            text += &format!("{}\n", wrapped(&format!("Warning: {warning}")));
        }
    }
    text
}

/// What the whole run came to, in a sentence or two.
pub(crate) fn finding(stages: &[Stage]) -> String {
    let steps: usize = stages.iter().map(|stage| stage.steps.len()).sum();
    let seconds: f64 = stages.iter().map(Stage::seconds).sum();
    let finished = stages.iter().filter(|stage| stage.is_finished).count();
    let word = if steps == 1 { "step" } else { "steps" };
    let mut text = match (stages.len(), finished) {
        (1, 1) => "Finished: ".to_owned(),
        (1, _) => "Not finished: ".to_owned(),
        (all, done) if all == done => format!("All {all} stages finished: "),
        (all, done) => format!("{done} of {all} stages finished: "),
    };
    text += &format!("{} {word} in {}.", grouped(steps as u64), duration(seconds));
    let last = stages.iter().rev().find(|stage| !stage.steps.is_empty());
    let Some(last) = last else { return text };
    let place = if stages.len() > 1 {
        format!("In {} the", line(&last.name, 60))
    } else {
        "The".to_owned()
    };
    let panels = panels(last);
    let of = |name: &str| {
        let mut all = panels
            .iter()
            .flat_map(|panel| panel.series.iter().map(move |series| (panel, series)));
        let (panel, series) = all.find(|(_, series)| series.name == name)?;
        let (from, to) = series.ends()?;
        Some((panel.unit.show(from), panel.unit.show(to)))
    };
    let (what, ends) = match of("reward") {
        Some(ends) => ("mean reward", Some(ends)),
        None => ("loss", of("loss")),
    };
    match ends {
        Some((_, value)) if last.steps.len() == 1 => {
            text += &format!(" {place} {what} is {value}.");
        }
        Some((from, to)) => text += &format!(" {place} {what} went from {from} to {to}."),
        None => {}
    }
    text
}

/// All warnings, each with its stage where there are several.
pub(crate) fn said(stages: &[Stage]) -> Vec<String> {
    let all = stages
        .iter()
        .flat_map(|stage| warnings(stage).into_iter().map(move |w| (stage, w)));
    all.map(|(stage, warning)| {
        if stages.len() > 1 {
            format!("{}: {warning}", line(&stage.name, 60))
        } else {
            warning
        }
    })
    .collect()
}

fn table(stages: &[Stage]) -> Table {
    let rule = LineStyle::none().fill('─').junction('─');
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(rule))
        .set_header([
            "Stage",
            "steps",
            "samples",
            "tokens",
            "time",
            "parameters",
            "",
        ]);
    for column in table.column_iter_mut().skip(1).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for stage in stages {
        table.add_row([
            line(&stage.name, 20),
            stage.progress(),
            grouped(stage.samples() as u64),
            large(stage.tokens() as f64),
            duration(stage.seconds()),
            large(stage.start.parameters as f64),
            stage.state().to_owned(),
        ]);
    }
    table
}

/// A curve in one line: its name, its course, where it began and where it is.
fn course(panel: &Panel, series: &Series) -> String {
    let name = if panel.series.len() == 1 {
        panel.title.clone()
    } else {
        series.name.clone()
    };
    let ends = series.ends().map_or(String::new(), |(from, to)| {
        let unit = panel.unit.name();
        let unit = if unit.is_empty() || unit == "%" {
            String::new()
        } else {
            format!(" {unit}")
        };
        format!("{} → {}{unit}", panel.unit.show(from), panel.unit.show(to))
    });
    let spark = sparkline(series, panel.scale);
    format!("  {:NAME$} {spark:WIDTH$}  {ends}\n", line(&name, NAME))
}

/// Means over equal stretches of steps as heights of a block; a share on all of 0 to 1.
fn sparkline(series: &Series, scale: Scale) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values: Vec<f64> = series.points.iter().map(|point| point.1).collect();
    let is_log = scale == Scale::Log && values.iter().all(|value| *value > 0.0);
    let columns = WIDTH.min(values.len());
    let mean = |column: usize| {
        let stretch =
            &values[column * values.len() / columns..(column + 1) * values.len() / columns];
        let mean = stretch.iter().sum::<f64>() / stretch.len() as f64;
        if is_log { mean.ln() } else { mean }
    };
    let means: Vec<f64> = (0..columns).map(mean).collect();
    let (mut low, mut high) = means
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(*v), high.max(*v))
        });
    if scale == Scale::Whole {
        (low, high) = (low.min(0.0), high.max(1.0));
    }
    let block = |value: &f64| {
        let share = if high > low {
            (value - low) / (high - low)
        } else {
            0.5
        };
        BLOCKS[((share * 8.0) as usize).min(7)]
    };
    means.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::training::{stage::stages, world};

    #[test]
    fn a_chain_reads_well_and_fits_a_terminal() {
        let folder = tempfile::tempdir().unwrap();
        world::chain(folder.path());
        let text = summary(&stages(folder.path()).unwrap());
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
            assert!(!line.contains('\u{1b}'));
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_run_that_has_just_begun_reads_well() {
        let mut stage = world::stage("reward", 2, |at| at);
        stage.steps.truncate(1);
        stage.is_finished = false;
        insta::assert_snapshot!(summary(&[stage]));
    }

    #[test]
    fn a_run_without_a_step_says_so() {
        let mut stage = world::stage("reward", 2, |at| at);
        stage.steps.clear();
        stage.is_finished = false;
        let text = summary(&[stage]);
        assert!(
            text.starts_with("Not finished: 0 steps in 0.0 s.\n"),
            "{text}"
        );
    }

    #[test]
    fn a_flat_course_is_flat() {
        let flat = Series {
            name: "loss".to_owned(),
            label: "loss".to_owned(),
            points: (1..=5).map(|step| (step, 0.3)).collect(),
        };
        assert_eq!(sparkline(&flat, Scale::Linear), "▅▅▅▅▅");
    }
}
