//! Numbers and findings in words: the one place that formats a share, a difference, an interval.

pub(crate) use super::foreign::{line, plain};

use bench::Condition;
use bench::results::{Compared, Defence, Detection, Figure, Results};
use safety::interval::Interval;
use safety::paired::McNemar;
use safety::{Outcome, Rate, Subset};

/// What stands where a figure has no value.
pub(crate) const NOTHING: &str = "—";

/// A share of 1 in per cent.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or(NOTHING.to_owned(), |share| {
        format!("{} %", hundredths(share))
    })
}

/// A difference of two shares, in points of a hundred.
pub(crate) fn points(difference: Option<f64>) -> String {
    difference.map_or(NOTHING.to_owned(), |difference| {
        format!("{} points", hundredths(difference))
    })
}

/// Both ends in per cent.
pub(crate) fn percents(interval: Option<Interval>) -> String {
    ends(interval, "%")
}

/// Both ends in points of a hundred.
pub(crate) fn point_ends(interval: Option<Interval>) -> String {
    ends(interval, "points")
}

fn ends(interval: Option<Interval>, unit: &str) -> String {
    let show = |ends: Interval| {
        format!(
            "{} to {} {unit}",
            hundredths(ends.low),
            hundredths(ends.high)
        )
    };
    interval.map_or(NOTHING.to_owned(), show)
}

/// With one decimal, a real minus sign, and no minus before zero.
fn hundredths(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    match text.strip_prefix('-') {
        Some("0.0") => "0.0".to_owned(),
        Some(positive) => format!("−{positive}"),
        None => text,
    }
}

/// An area under a ROC curve.
pub(crate) fn area(area: Option<f64>) -> String {
    area.map_or(NOTHING.to_owned(), |area| format!("{area:.3}"))
}

/// Both ends of an area's interval.
pub(crate) fn area_ends(interval: Option<Interval>) -> String {
    interval.map_or(NOTHING.to_owned(), |ends| {
        format!("{:.3} to {:.3}", ends.low, ends.high)
    })
}

/// What each alarm head is worth: its name, how samples were shown, the figures. Empty in a run without
/// scores; a head that nobody was asked about is left out.
pub(crate) fn detections(results: &Results) -> Vec<(&'static str, Condition, Detection)> {
    let Some(alarm) = results.alarm else {
        return Vec::new();
    };
    let all = [
        ("video", Condition::WithVideo, alarm.visual),
        ("text", Condition::WithoutVideo, alarm.textual_without_video),
        ("text", Condition::WithVideo, alarm.textual_with_video),
    ];
    all.into_iter()
        .filter(|(_, _, found)| found.harmful + found.safe + found.unlabelled + found.unscored > 0)
        .collect()
}

/// What the alarm heads said of one question.
pub(crate) fn alarm(scores: Option<chat::AlarmScores>) -> Option<String> {
    let scores = scores?;
    let video = scores
        .visual
        .map(|score| format!("video {score:.3}, "))
        .unwrap_or_default();
    Some(format!("P(harmful): {video}text {:.3}", scores.textual))
}

/// Hits of what could be judged.
pub(crate) fn count(rate: Rate) -> String {
    format!("{}/{}", rate.hits, rate.total)
}

/// McNemar's p.
pub(crate) fn chance(test: McNemar) -> String {
    let p = test.p();
    if p < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {p:.3}")
    }
}

/// `HH + SH`
pub(crate) fn subsets(subsets: &[Subset]) -> String {
    subsets
        .iter()
        .map(|subset| subset.name())
        .collect::<Vec<_>>()
        .join(" + ")
}

/// Conditions in the order of reading: first the query alone, then what the video changes.
pub(crate) const ORDER: [Condition; 2] = [Condition::WithoutVideo, Condition::WithVideo];

/// Both figures in [`ORDER`].
pub(crate) fn both(compared: &Compared) -> [(Condition, &Figure); 2] {
    ORDER.map(|condition| match condition {
        Condition::WithVideo => (condition, &compared.with_video),
        Condition::WithoutVideo => (condition, &compared.without_video),
    })
}

/// `1 sample`, `2 samples`
pub(crate) fn counted(count: usize, thing: &str) -> String {
    if count == 1 {
        format!("1 {thing}")
    } else {
        format!("{count} {thing}s")
    }
}

/// What a subset holds.
pub(crate) fn meaning(subsets: &[Subset]) -> &'static str {
    match subsets {
        [Subset::HH] => "harmful video, harmful query",
        [Subset::SH] => "safe video, harmful query",
        [Subset::SafeQ] => "safe query",
        _ => "all harmful queries",
    }
}

/// How a call ended.
pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answer => "answer",
        Outcome::Refusal => "refusal",
        Outcome::Truncated => "cut off",
        Outcome::ProviderBlock => "blocked by the provider",
        Outcome::Empty => "empty",
        Outcome::Error => "error",
    }
}

/// The defence over all harmful queries: what a report leads with.
pub(crate) fn leading(results: &Results) -> Option<&Defence> {
    results
        .defence
        .iter()
        .max_by_key(|defence| defence.subsets.len())
}

/// What the run found, in one sentence.
pub(crate) fn finding(results: &Results) -> String {
    let Some(defence) = leading(results) else {
        return "Nothing was scored.".to_owned();
    };
    let (with, without) = (
        defence.rates.with_video.value,
        defence.rates.without_video.value,
    );
    let (Some(_), Some(_)) = (with, without) else {
        let place = match (with, without) {
            (None, None) => "",
            (None, _) => " with its video",
            (_, _) => " without its video",
        };
        return format!("What the video does cannot be said: no harmful query{place} was judged.");
    };
    let (said_with, said_without) = (percent(with), percent(without));
    match defence.relative_drop.value {
        None => format!(
            "Without the video the model defends none of the harmful queries, with it {said_with}: there is no \
             defence to lose."
        ),
        Some(_) if with == without => format!(
            "With the video the model defends {said_with} of harmful queries, the same as without: it loses \
             nothing of its defence."
        ),
        Some(drop) => {
            let verb = if drop < 0.0 { "gains" } else { "loses" };
            let share = percent(Some(drop.abs()));
            format!(
                "With the video the model defends {said_with} of harmful queries instead of {said_without}: it \
                 {verb} {share} of its defence."
            )
        }
    }
}

/// What is missing from the scores, a sentence for each thing; nothing if all is there.
pub(crate) fn notes(results: &Results) -> Vec<String> {
    let mut notes = Vec::new();
    let errors: u64 = results
        .outcomes
        .iter()
        .filter_map(|of| of.counts.get(&Outcome::Error))
        .sum();
    if errors > 0 {
        let calls = counted(errors as usize, "call");
        notes.push(format!(
            "{calls} of {} ended in an error and are in no score.",
            results.records
        ));
    }
    if results.missing > 0 {
        let answers = counted(results.missing, "answer");
        notes.push(format!(
            "{answers} still missing: run the same evaluation again to ask for the rest."
        ));
    }
    if results.problems > 0 {
        let problems = counted(results.problems, "problem");
        notes.push(format!(
            "The benchmark has {problems}: bad lines were left out."
        ));
    }
    notes
}

/// How far the judge can be trusted.
pub(crate) fn caveat(judge: &str) -> &'static str {
    if judge.starts_with("rule/") {
        "It reads only whether an answer declines, not what it says: a harmless answer to a harmful query \
         counts as unsafe. Its DSR is a rough figure, mostly a lower bound of what a reading judge would give."
    } else {
        "It is a model too, and can be wrong: read the samples before relying on a small difference."
    }
}

#[cfg(test)]
mod tests {
    use bench::results::Estimate;
    use safety::paired::Pairs;
    use safety::rates::Conditions;

    use super::*;

    #[test]
    fn a_share_has_one_decimal_and_nothing_has_a_dash() {
        assert_eq!(percent(Some(0.18421)), "18.4 %");
        assert_eq!(percent(None), "—");
        assert_eq!(points(None), "—");
        assert_eq!(percents(None), "—");
    }

    #[test]
    fn zero_has_no_sign_and_a_gain_a_real_minus() {
        assert_eq!(percent(Some(-0.0001)), "0.0 %");
        assert_eq!(points(Some(-0.125)), "−12.5 points");
        let ends = Interval {
            low: -0.03,
            high: 0.05,
        };
        assert_eq!(point_ends(Some(ends)), "−3.0 to 5.0 points");
    }

    #[test]
    fn a_small_p_is_not_called_zero() {
        let test = |exact_p| McNemar {
            lost: 9,
            gained: 0,
            exact_p,
            corrected: None,
        };
        assert_eq!(chance(test(0.000_03)), "p < 0.001");
        assert_eq!(chance(test(0.0391)), "p = 0.039");
    }

    /// Safe answers of ten with the video and without it; `None` asks nothing.
    #[track_caller]
    fn check(with: Option<u64>, without: Option<u64>, sentence: &str) {
        let rate = |hits: Option<u64>| {
            hits.map_or(Rate::default(), |hits| Rate {
                hits,
                total: 10,
                unreadable: 0,
            })
        };
        let conditions = Conditions {
            with_video: rate(with),
            without_video: rate(without),
        };
        let figure = |rate: Rate| Figure {
            rate,
            value: rate.value(),
            wilson: None,
            bootstrap: None,
        };
        let estimate = |value| Estimate {
            value,
            bootstrap: None,
        };
        let rates = Compared {
            with_video: figure(rate(with)),
            without_video: figure(rate(without)),
        };
        let results = Results {
            format: bench::results::VERSION,
            model: String::new(),
            benchmark: String::new(),
            judge: String::new(),
            samples: 10,
            problems: 0,
            records: 20,
            missing: 0,
            defence: vec![Defence {
                subsets: vec![Subset::HH, Subset::SH],
                rates,
                relative_drop: estimate(conditions.relative_drop()),
                absolute_drop: estimate(conditions.absolute_drop()),
                mcnemar: Pairs::default().mcnemar(),
            }],
            over_refusal: rates,
            exact_match: rates,
            by_subcategory: Vec::new(),
            by_language: Vec::new(),
            outcomes: Vec::new(),
            alarm: None,
        };
        assert_eq!(finding(&results), sentence);
    }

    #[test]
    fn a_loss_is_said_relative_to_the_defence_without_video() {
        let said = "With the video the model defends 20.0 % of harmful queries instead of 80.0 %: it loses 75.0 % \
                    of its defence.";
        check(Some(2), Some(8), said);
    }

    #[test]
    fn a_gain_is_no_negative_loss() {
        check(
            Some(10),
            Some(5),
            "With the video the model defends 100.0 % of harmful queries instead of 50.0 %: it gains 100.0 % of its \
             defence.",
        );
    }

    #[test]
    fn what_does_not_change_is_said_to_stay() {
        check(
            Some(8),
            Some(8),
            "With the video the model defends 80.0 % of harmful queries, the same as without: it loses nothing of \
             its defence.",
        );
    }

    #[test]
    fn without_a_defence_there_is_none_to_lose() {
        check(
            Some(1),
            Some(0),
            "Without the video the model defends none of the harmful queries, with it 10.0 %: there is no defence \
             to lose.",
        );
    }

    #[test]
    fn without_judged_answers_nothing_is_claimed() {
        check(
            None,
            Some(8),
            "What the video does cannot be said: no harmful query with its video was judged.",
        );
        check(
            Some(8),
            None,
            "What the video does cannot be said: no harmful query without its video was judged.",
        );
        check(
            None,
            None,
            "What the video does cannot be said: no harmful query was judged.",
        );
    }
}
