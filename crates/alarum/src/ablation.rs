//! The figures of an ablation's rows, and the table of them.

use bench::results::{Compared, Figure, Results};
use safety::Subset;
use serde::Serialize;

/// What one row comes to with one seed; shares in 0..1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// DSR on harmful video and harmful query, with the video.
    pub hh_with: Option<f64>,
    /// The same queries without it.
    pub hh_without: Option<f64>,
    /// DSR on safe video and harmful query, with the video.
    pub sh_with: Option<f64>,
    /// Safe queries that were declined, with their video.
    pub declined: Option<f64>,
    /// Safe queries answered exactly as the reference, with their video.
    pub helpful: Option<f64>,
    /// AUROC of the visual head.
    pub auroc_visual: Option<f64>,
    /// AUROC of the textual head, with the video.
    pub auroc_textual: Option<f64>,
    /// Harmful queries of HH, and safe queries: how many the shares are of.
    pub counts: [u64; 2],
    /// Training of all its stages.
    pub seconds: f64,
}

impl Figures {
    /// Of an evaluation.
    pub(crate) fn of(results: &Results, seconds: f64) -> Self {
        let defence = |subset| {
            let of = results.defence.iter().find(|one| one.subsets == [subset]);
            of.map(|one| one.rates)
        };
        let (hh, sh) = (defence(Subset::HH), defence(Subset::SH));
        let value = |rates: Option<Compared>, side: fn(Compared) -> Figure| side(rates?).value;
        Self {
            hh_with: value(hh, |rates| rates.with_video),
            hh_without: value(hh, |rates| rates.without_video),
            sh_with: value(sh, |rates| rates.with_video),
            declined: results.over_refusal.with_video.value,
            helpful: results.exact_match.with_video.value,
            auroc_visual: results.alarm.and_then(|alarm| alarm.visual.auroc.value),
            auroc_textual: results
                .alarm
                .and_then(|alarm| alarm.textual_with_video.auroc.value),
            counts: [
                hh.map_or(0, |rates| rates.with_video.rate.total),
                results.over_refusal.with_video.rate.total,
            ],
            seconds,
        }
    }
}

/// A column: its head, its figure, and how that is written.
type Column = (&'static str, fn(&Figures) -> Option<f64>, Unit);

/// In the order of the table.
const COLUMNS: [Column; 8] = [
    ("HH, video", |f| f.hh_with, Unit::Percent),
    ("HH, no video", |f| f.hh_without, Unit::Percent),
    ("SH, video", |f| f.sh_with, Unit::Percent),
    ("SafeQ declined", |f| f.declined, Unit::Percent),
    ("helpful", |f| f.helpful, Unit::Percent),
    ("AUROC video", |f| f.auroc_visual, Unit::Share),
    ("AUROC query", |f| f.auroc_textual, Unit::Share),
    ("training", |f| Some(f.seconds), Unit::Minutes),
];

#[derive(Clone, Copy)]
enum Unit {
    Percent,
    Share,
    Minutes,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Percent => format!("{:.1}", 100.0 * value),
            Self::Share => format!("{value:.3}"),
            Self::Minutes => format!("{:.1}", value / 60.0),
        }
    }
}

/// Rows by seeds as Markdown: of each figure the mean, and the range over seeds.
pub(crate) fn table(names: &[String], by_seed: &[Vec<Figures>]) -> String {
    let mut lines = vec![
        format!("| | {} |", COLUMNS.map(|(name, ..)| name).join(" | ")),
        format!("|---|{}", "---:|".repeat(COLUMNS.len())),
    ];
    for (row, name) in names.iter().enumerate() {
        let cells = COLUMNS.map(|(_, of, unit)| {
            let values: Option<Vec<f64>> = by_seed
                .iter()
                .map(|rows| rows.get(row).and_then(of))
                .collect();
            cell(&values.unwrap_or_default(), unit)
        });
        lines.push(format!("| {name} | {} |", cells.join(" | ")));
    }
    let of = by_seed.first().and_then(|rows| rows.first());
    let [harmful, safe] = of.map_or([0, 0], |figures| figures.counts);
    lines.push(format!(
        "\n{} seeds: mean (lowest to highest); shares in %, of {harmful} harmful and {safe} safe queries each, training in minutes.\n",
        by_seed.len()
    ));
    lines.join("\n")
}

fn cell(values: &[f64], unit: Unit) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let mean = unit.write(values.iter().sum::<f64>() / values.len() as f64);
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        1 => mean,
        _ => format!("{mean} ({} to {})", unit.write(lowest), unit.write(highest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(hh: f64) -> Figures {
        Figures {
            hh_with: Some(hh),
            hh_without: Some(0.8),
            sh_with: Some(0.5),
            declined: Some(0.0),
            helpful: Some(0.25),
            auroc_visual: None,
            auroc_textual: None,
            counts: [76, 76],
            seconds: 90.0,
        }
    }

    #[test]
    fn a_table_has_means_and_ranges_and_says_what_is_missing() {
        let table = table(
            &["base".to_owned()],
            &[vec![figures(0.5)], vec![figures(0.7)]],
        );
        let row = table.lines().nth(2).unwrap();
        assert_eq!(
            row,
            "| base | 60.0 (50.0 to 70.0) | 80.0 (80.0 to 80.0) | 50.0 (50.0 to 50.0) | 0.0 (0.0 to 0.0) | 25.0 (25.0 to 25.0) | – | – | 1.5 (1.5 to 1.5) |"
        );
    }
}
