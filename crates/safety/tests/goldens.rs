//! Figures of `statsmodels` (`fixtures/safety_stats.py`) and `scikit-learn` (`fixtures/safety_auroc.py`),
//! reproduced.

use safety::{
    Rate, SafetyLabel,
    auroc::{Scored, auroc},
    interval::wilson,
    paired::{ChiSquare, Pairs},
};
use serde::Deserialize;

/// Relative; the sums and the quantiles are not ours bit by bit.
const TOLERANCE: f64 = 1e-9;

#[track_caller]
fn close(name: &str, ours: f64, theirs: f64) {
    let difference = (ours - theirs).abs();
    assert!(
        // Absolute near 0, where `statsmodels` leaves rounding of the order of 1e-17.
        difference <= TOLERANCE * theirs.abs() || (theirs.abs() < 1e-15 && difference < 1e-15),
        "{name}: {ours} is not {theirs}"
    );
}

#[derive(Deserialize)]
struct Wilson {
    hits: u64,
    total: u64,
    z: f64,
    low: f64,
    high: f64,
}

#[test]
fn wilson_intervals_agree() {
    let cases: Vec<Wilson> = serde_json::from_str(include_str!("goldens/wilson.json")).unwrap();
    assert_eq!(cases.len(), 33);
    for case in cases {
        let rate = Rate {
            hits: case.hits,
            total: case.total,
            unreadable: 0,
        };
        let ours = wilson(rate, case.z).unwrap();
        let name = format!("{}/{} at z = {}", case.hits, case.total, case.z);
        close(&name, ours.low, case.low);
        close(&name, ours.high, case.high);
    }
}

#[derive(Deserialize)]
struct McNemar {
    lost: u64,
    gained: u64,
    exact_p: f64,
    corrected: Option<ChiSquare>,
}

#[test]
fn mcnemar_tests_agree() {
    let cases: Vec<McNemar> = serde_json::from_str(include_str!("goldens/mcnemar.json")).unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let pairs = Pairs {
            lost: case.lost,
            gained: case.gained,
            ..Pairs::default()
        };
        let ours = pairs.mcnemar();
        let name = format!("{} lost, {} gained", case.lost, case.gained);
        close(&name, ours.exact_p, case.exact_p);
        if let Some(theirs) = case.corrected {
            let ours = ours.corrected.expect("a pair is discordant");
            close(&name, ours.statistic, theirs.statistic);
            close(&name, ours.p, theirs.p);
        }
    }
}

#[derive(Deserialize)]
struct Auroc {
    scores: Vec<f64>,
    labels: Vec<SafetyLabel>,
    auroc: f64,
}

#[test]
fn areas_under_the_roc_curve_agree() {
    let cases: Vec<Auroc> = serde_json::from_str(include_str!("goldens/auroc.json")).unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let items = case.scores.iter().zip(&case.labels);
        let items: Vec<Scored> = items
            .map(|(&score, &label)| Scored { score, label })
            .collect();
        close(&format!("{items:?}"), auroc(&items).unwrap(), case.auroc);
    }
}
