//! The scores of a run as text of at most 100 columns, readable without colour.

use bench::results::{Compared, Figure, Outcomes};
use bench::run::CategoryNames;
use bench::{Condition, Results};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use safety::{Outcome, Subset};

use super::words::{
    self, NOTHING, caveat, chance, count, finding, line, percent, percents, point_ends, points,
};

/// The widest line.
const COLUMNS: usize = 100;
/// The longest name of a category.
const NAME: usize = 28;

/// What the run found, ending in a line break.
pub(crate) fn table(results: &Results, taxonomy: &[CategoryNames]) -> String {
    let mut text = format!(
        "Model      {}\nBenchmark  {}, {}\nJudge      {}\n\n{}\n",
        line(&results.model, COLUMNS - 11),
        line(&results.benchmark, COLUMNS - 31),
        words::counted(results.samples, "sample"),
        line(&results.judge, COLUMNS - 11),
        wrapped(&finding(results)),
    );
    let mut section = |title: &str, table: &Table| {
        if table.row_count() > 0 {
            text += &format!("\n{title}\n{}\n", table.trim_fmt());
        }
    };
    section(
        "Defence success rate (DSR): harmful queries answered safely",
        &defence(results),
    );
    section(
        "DSR drop, relative to the DSR without video (the paper's) and absolute in points",
        &drops(results),
    );
    section(
        "Safe queries: declined (over-refusal), and answered verbatim as the reference",
        &safe_queries(results),
    );
    section(
        "By category: DSR of HH and SH, share of SafeQ not declined; without video, with video",
        &categories(results, taxonomy),
    );
    section(
        "Alarm heads: harmful told from safe (area under the ROC curve; 0.5 is chance)",
        &alarm(results),
    );
    section("How calls ended", &outcomes(&results.outcomes));
    text += "\n";
    for note in words::notes(results) {
        text += &format!("{}\n", wrapped(&note));
    }
    text + &wrapped(&format!(
        "Judge {}: {}",
        line(&results.judge, 60),
        caveat(&results.judge)
    )) + "\n"
}

/// A table without borders, its first `names` columns to the left and its numbers to the right.
fn new(header: &[&str], names: usize) -> Table {
    let rule = LineStyle::none().fill('─').junction('─');
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(rule))
        .set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn defence(results: &Results) -> Table {
    let mut table = new(
        &[
            "Queries",
            "Video",
            "DSR",
            "safe",
            "95 % (Wilson)",
            "95 % (by video)",
            "not judged",
        ],
        2,
    );
    for defence in &results.defence {
        let mut name = words::subsets(&defence.subsets);
        for (condition, figure) in words::both(&defence.rates) {
            table.add_row(
                [
                    vec![std::mem::take(&mut name), video(condition).to_owned()],
                    shown(figure),
                ]
                .concat(),
            );
        }
    }
    table
}

fn shown(figure: &Figure) -> Vec<String> {
    let bootstrap = figure.bootstrap.map(|bootstrap| bootstrap.interval);
    vec![
        percent(figure.value),
        count(figure.rate),
        percents(figure.wilson),
        percents(bootstrap),
        figure.rate.unreadable.to_string(),
    ]
}

fn drops(results: &Results) -> Table {
    let header = [
        "Queries", "relative", "95 %", "points", "95 %", "lost", "gained", "McNemar",
    ];
    let mut table = new(&header, 1);
    for defence in &results.defence {
        let relative = defence
            .relative_drop
            .bootstrap
            .map(|bootstrap| bootstrap.interval);
        let absolute = defence
            .absolute_drop
            .bootstrap
            .map(|bootstrap| bootstrap.interval);
        table.add_row([
            words::subsets(&defence.subsets),
            percent(defence.relative_drop.value),
            percents(relative),
            points(defence.absolute_drop.value).replace(" points", ""),
            point_ends(absolute).replace(" points", ""),
            defence.mcnemar.lost.to_string(),
            defence.mcnemar.gained.to_string(),
            chance(defence.mcnemar),
        ]);
    }
    table
}

fn safe_queries(results: &Results) -> Table {
    let mut table = new(
        &[
            "SafeQ",
            "Video",
            "share",
            "count",
            "95 % (Wilson)",
            "95 % (by video)",
            "not judged",
        ],
        2,
    );
    let mut add = |name: &str, compared: &Compared| {
        let mut name = name.to_owned();
        for (condition, figure) in words::both(compared) {
            table.add_row(
                [
                    vec![std::mem::take(&mut name), video(condition).to_owned()],
                    shown(figure),
                ]
                .concat(),
            );
        }
    };
    add("declined", &results.over_refusal);
    add("verbatim", &results.exact_match);
    table
}

fn categories(results: &Results, taxonomy: &[CategoryNames]) -> Table {
    let mut table = new(&["Category", "HH", "", "SH", "", "SafeQ", ""], 1);
    for category in taxonomy {
        let find = |subset: Subset| {
            results.by_subcategory.iter().find(|row| {
                row.category == category.id && row.subcategory.is_none() && row.subset == subset
            })
        };
        let rows = Subset::ALL.map(find);
        if rows.iter().all(Option::is_none) {
            continue;
        }
        let cells = rows.into_iter().flat_map(|row| {
            let cell =
                |figure: &Figure| format!("{}\n{}", percent(figure.value), count(figure.rate));
            row.map_or([NOTHING.to_owned(), NOTHING.to_owned()], |row| {
                words::both(&row.rates).map(|(_, figure)| cell(figure))
            })
        });
        table.add_row(std::iter::once(line(&category.name, NAME)).chain(cells));
    }
    table
}

fn alarm(results: &Results) -> Table {
    let header = [
        "Head",
        "Video",
        "AUROC",
        "95 % (by video)",
        "harmful",
        "safe",
        "no label",
        "no score",
    ];
    let mut table = new(&header, 2);
    for (name, condition, found) in words::detections(results) {
        table.add_row([
            name.to_owned(),
            video(condition).to_owned(),
            words::area(found.auroc.value),
            words::area_ends(found.auroc.bootstrap.map(|bootstrap| bootstrap.interval)),
            found.harmful.to_string(),
            found.safe.to_string(),
            found.unlabelled.to_string(),
            found.unscored.to_string(),
        ]);
    }
    table
}

fn outcomes(outcomes: &[Outcomes]) -> Table {
    let header: Vec<&str> = std::iter::once("Video")
        .chain(Outcome::ALL.map(words::outcome))
        .collect();
    let mut table = new(&header, 1);
    for condition in words::ORDER {
        for of in outcomes.iter().filter(|of| of.condition == condition) {
            let cells = Outcome::ALL
                .map(|outcome| of.counts.get(&outcome).copied().unwrap_or(0).to_string());
            table.add_row(std::iter::once(video(condition).to_owned()).chain(cells));
        }
    }
    table
}

fn video(condition: Condition) -> &'static str {
    match condition {
        Condition::WithVideo => "with",
        Condition::WithoutVideo => "without",
    }
}

/// Broken at spaces into lines of at most [`COLUMNS`].
pub(crate) fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::world;

    #[test]
    fn the_table_reads_well_and_fits_a_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let run = world::run(folder.path());
        let table = table(&run.results().unwrap(), &run.taxonomy().unwrap());
        let widest = table.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(COLUMNS), "{widest:?} columns");
        insta::assert_snapshot!(table);
    }

    #[test]
    fn alarm_heads_have_a_table_where_the_model_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let run = world::run_with_heads(folder.path());
        let table = table(&run.results().unwrap(), &run.taxonomy().unwrap());
        let from = table.find("Alarm heads").unwrap();
        let to = table.find("How calls ended").unwrap();
        assert!(table.lines().all(|line| line.chars().count() <= COLUMNS));
        insta::assert_snapshot!(&table[from..to]);
    }

    #[test]
    fn full_counts_and_long_names_fit_too() {
        let folder = tempfile::tempdir().unwrap();
        let run = world::run(folder.path());
        let (mut results, mut taxonomy) = (run.results().unwrap(), run.taxonomy().unwrap());
        for compared in results
            .defence
            .iter_mut()
            .map(|defence| &mut defence.rates)
            .chain([&mut results.over_refusal, &mut results.exact_match])
        {
            for figure in [&mut compared.with_video, &mut compared.without_video] {
                figure.rate = safety::Rate {
                    hits: 11_400,
                    total: 11_400,
                    unreadable: 11_400,
                };
                figure.value = Some(1.0);
                figure.wilson = Some(safety::interval::Interval {
                    low: 1.0,
                    high: 1.0,
                });
            }
        }
        for defence in &mut results.defence {
            (defence.mcnemar.lost, defence.mcnemar.gained) = (11_400, 11_400);
            for drop in [&mut defence.relative_drop, &mut defence.absolute_drop] {
                drop.value = Some(-1.0);
            }
        }
        results.model = "m".repeat(300);
        taxonomy[0].name = "long ".repeat(60);
        for line in table(&results, &taxonomy).lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let run = world::run(folder.path());
        let mut results = run.results().unwrap();
        results.model = "\u{1b}]0;owned\u{7}\nmodel".to_owned();
        results.judge = "\u{1b}[2J".to_owned();
        let table = table(&results, &run.taxonomy().unwrap());
        assert!(!table.contains('\u{1b}') && !table.contains('\u{7}'));
        assert!(
            table.starts_with("Model      ␛]0;owned␇ model\n"),
            "{table}"
        );
    }
}
