//! The scores of a run as the page shows them: every number already in words.

use bench::results::{Compared, Defence, Detection, Figure};
use bench::run::CategoryNames;
use bench::{Condition, Results};
use safety::{Outcome, Subset};
use serde::Serialize;

use super::chart;
use super::words::{self, NOTHING, chance, count, percent, percents, point_ends, points};

/// One condition's share, drawn and in words.
#[derive(Serialize)]
pub(crate) struct Bar {
    /// `with` or `without`.
    class: &'static str,
    svg: String,
    share: String,
    count: String,
    /// As if samples were independent.
    wilson: String,
    /// Resampling whole videos.
    by_video: String,
    not_judged: u64,
}

/// The defence over some subsets.
#[derive(Serialize)]
pub(crate) struct Headline {
    name: String,
    meaning: &'static str,
    bars: Vec<Bar>,
    relative: String,
    relative_ends: String,
    absolute: String,
    absolute_ends: String,
    chance: String,
    lost: u64,
    gained: u64,
}

/// A chart: one group of bars for each name.
#[derive(Serialize)]
pub(crate) struct Chart {
    title: String,
    meaning: &'static str,
    groups: Vec<Group>,
}

/// Bars under one name.
#[derive(Serialize)]
pub(crate) struct Group {
    name: String,
    bars: Vec<Bar>,
}

/// A row of the heat map.
#[derive(Serialize)]
pub(crate) struct HeatRow {
    name: String,
    /// Whether it sums up the rows below it.
    whole: bool,
    cells: Vec<HeatCell>,
}

/// A cell of the heat map.
#[derive(Serialize)]
pub(crate) struct HeatCell {
    /// Step of the scale; nothing if the cell has no value.
    step: Option<usize>,
    share: String,
    count: String,
}

/// A row of the table of outcomes.
#[derive(Serialize)]
pub(crate) struct OutcomeRow {
    name: &'static str,
    class: &'static str,
    counts: Vec<u64>,
}

/// An alarm head in one condition.
#[derive(Serialize)]
pub(crate) struct HeadRow {
    name: &'static str,
    class: &'static str,
    area: String,
    ends: String,
    harmful: u64,
    safe: u64,
    unlabelled: u64,
    unscored: u64,
}

/// What the alarm heads are worth; empty in a run without their scores.
pub(crate) fn heads(results: &Results) -> Vec<HeadRow> {
    let row = |(name, condition, found): (&'static str, Condition, Detection)| HeadRow {
        name,
        class: class(condition),
        area: words::area(found.auroc.value),
        ends: words::area_ends(found.auroc.bootstrap.map(|bootstrap| bootstrap.interval)),
        harmful: found.harmful,
        safe: found.safe,
        unlabelled: found.unlabelled,
        unscored: found.unscored,
    };
    words::detections(results).into_iter().map(row).collect()
}

/// The defence over HH, SH and both.
pub(crate) fn headlines(results: &Results) -> Vec<Headline> {
    results.defence.iter().map(headline).collect()
}

/// The defence that the page leads with.
pub(crate) fn leading(results: &Results) -> Option<Headline> {
    words::leading(results).map(headline)
}

fn headline(defence: &Defence) -> Headline {
    let Defence {
        subsets,
        rates,
        relative_drop,
        absolute_drop,
        mcnemar,
    } = defence;
    Headline {
        name: words::subsets(subsets),
        meaning: words::meaning(subsets),
        bars: bars(rates),
        relative: percent(relative_drop.value),
        relative_ends: percents(relative_drop.bootstrap.map(|bootstrap| bootstrap.interval)),
        absolute: points(absolute_drop.value),
        absolute_ends: point_ends(absolute_drop.bootstrap.map(|bootstrap| bootstrap.interval)),
        chance: chance(*mcnemar),
        lost: mcnemar.lost,
        gained: mcnemar.gained,
    }
}

fn bars(compared: &Compared) -> Vec<Bar> {
    words::both(compared)
        .into_iter()
        .map(|(condition, figure)| bar(condition, figure))
        .collect()
}

fn bar(condition: Condition, figure: &Figure) -> Bar {
    Bar {
        class: class(condition),
        svg: chart::bar(figure, condition),
        share: percent(figure.value),
        count: count(figure.rate),
        wilson: percents(figure.wilson),
        by_video: percents(figure.bootstrap.map(|bootstrap| bootstrap.interval)),
        not_judged: figure.rate.unreadable,
    }
}

/// What conditions are called in the style sheet.
pub(crate) fn class(condition: Condition) -> &'static str {
    match condition {
        Condition::WithVideo => "with",
        Condition::WithoutVideo => "without",
    }
}

/// Over-refusal and helpfulness, where the benchmark has safe queries.
pub(crate) fn safe_queries(results: &Results) -> Vec<Group> {
    let group = |name: &str, compared: &Compared| Group {
        name: name.to_owned(),
        bars: bars(compared),
    };
    let asked = |compared: &Compared| {
        words::both(compared)
            .iter()
            .any(|(_, figure)| figure.rate != Default::default())
    };
    [
        ("Declined (over-refusal)", &results.over_refusal),
        ("Word for word the reference", &results.exact_match),
    ]
    .into_iter()
    .filter(|(_, compared)| asked(compared))
    .map(|(name, compared)| group(name, compared))
    .collect()
}

/// One chart for each subset that has samples: its categories.
pub(crate) fn categories(results: &Results, taxonomy: &[CategoryNames]) -> Vec<Chart> {
    let chart = |subset: Subset| {
        let group = |category: &CategoryNames| {
            let row = results.by_subcategory.iter().find(|row| {
                row.category == category.id && row.subcategory.is_none() && row.subset == subset
            })?;
            Some(Group {
                name: words::line(&category.name, 80),
                bars: bars(&row.rates),
            })
        };
        let groups: Vec<Group> = taxonomy.iter().filter_map(group).collect();
        let meaning = if subset.query_is_harmful() {
            "answered safely"
        } else {
            "not declined"
        };
        Chart {
            title: format!("{}: {}", subset.name(), words::meaning(&[subset])),
            meaning,
            groups,
        }
    };
    Subset::ALL
        .into_iter()
        .map(chart)
        .filter(|chart| !chart.groups.is_empty())
        .collect()
}

/// Languages, if there is more than one.
pub(crate) fn languages(results: &Results) -> Vec<Group> {
    if results.by_language.len() < 2 {
        return Vec::new();
    }
    let group = |(language, compared): &(safety::Language, Compared)| Group {
        name: language.name().to_owned(),
        bars: bars(compared),
    };
    results.by_language.iter().map(group).collect()
}

/// Categories and their subcategories, with both conditions of every subset.
pub(crate) fn heat(results: &Results, taxonomy: &[CategoryNames]) -> Vec<HeatRow> {
    let mut rows = Vec::new();
    for category in taxonomy {
        let whole = (None, category.name.as_str());
        let parts = category
            .subcategories
            .iter()
            .map(|(id, name)| (Some(id), name.as_str()));
        for (subcategory, name) in std::iter::once(whole).chain(parts) {
            let find = |subset: Subset| {
                results.by_subcategory.iter().find(|row| {
                    row.category == category.id
                        && row.subcategory.as_ref() == subcategory
                        && row.subset == subset
                })
            };
            let found = Subset::ALL.map(find);
            if found.iter().all(Option::is_none) {
                continue;
            }
            let cells = found.into_iter().flat_map(|row| match row {
                Some(row) => words::both(&row.rates).map(|(_, figure)| cell(figure)),
                None => [(); 2].map(|()| HeatCell {
                    step: None,
                    share: NOTHING.to_owned(),
                    count: String::new(),
                }),
            });
            rows.push(HeatRow {
                name: words::line(name, 80),
                whole: subcategory.is_none(),
                cells: cells.collect(),
            });
        }
    }
    rows
}

fn cell(figure: &Figure) -> HeatCell {
    HeatCell {
        step: figure.value.map(chart::step),
        share: percent(figure.value),
        count: count(figure.rate),
    }
}

/// How calls ended: a row for each way, a column for each condition in [`words::ORDER`].
pub(crate) fn outcomes(results: &Results) -> Vec<OutcomeRow> {
    let row = |outcome: Outcome| {
        let of = |condition: Condition| {
            let found = results.outcomes.iter().find(|of| of.condition == condition);
            found
                .and_then(|of| of.counts.get(&outcome))
                .copied()
                .unwrap_or(0)
        };
        OutcomeRow {
            name: words::outcome(outcome),
            class: outcome_class(outcome),
            counts: words::ORDER.map(of).into(),
        }
    };
    Outcome::ALL
        .into_iter()
        .map(row)
        .filter(|row| row.counts.iter().any(|count| *count > 0))
        .collect()
}

/// Errors stand out.
fn outcome_class(outcome: Outcome) -> &'static str {
    if outcome == Outcome::Error {
        "failed"
    } else {
        ""
    }
}
