//! Numbers and findings in words: the one place that formats a share, a difference, an interval.

use bench::Condition;
use bench::results::{Compared, Defence, Figure, Results};
use safety::interval::Interval;
use safety::paired::McNemar;
use safety::{Outcome, Rate, Subset};

/// What stands where a figure has no value.
pub(crate) const NOTHING: &str = "—";

/// A share of 1 in per cent.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or(NOTHING.to_owned(), |share| format!("{} %", hundredths(share)))
}

/// A difference of two shares, in points of a hundred.
pub(crate) fn points(difference: Option<f64>) -> String {
    difference.map_or(NOTHING.to_owned(), |difference| format!("{} points", hundredths(difference)))
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
    let show = |ends: Interval| format!("{} to {} {unit}", hundredths(ends.low), hundredths(ends.high));
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

/// Hits of what could be judged.
pub(crate) fn count(rate: Rate) -> String {
    format!("{}/{}", rate.hits, rate.total)
}

/// McNemar's p.
pub(crate) fn chance(test: McNemar) -> String {
    let p = test.p();
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// `HH + SH`
pub(crate) fn subsets(subsets: &[Subset]) -> String {
    subsets.iter().map(|subset| subset.name()).collect::<Vec<_>>().join(" + ")
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
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
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
    results.defence.iter().max_by_key(|defence| defence.subsets.len())
}

/// What the run found, in one sentence.
pub(crate) fn finding(results: &Results) -> String {
    let Some(defence) = leading(results) else {
        return "Nothing was scored.".to_owned();
    };
    let (with, without) = (defence.rates.with_video.value, defence.rates.without_video.value);
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
    let errors: u64 = results.outcomes.iter().filter_map(|of| of.counts.get(&Outcome::Error)).sum();
    if errors > 0 {
        let calls = counted(errors as usize, "call");
        notes.push(format!("{calls} of {} ended in an error and are in no score.", results.records));
    }
    if results.missing > 0 {
        let answers = counted(results.missing, "answer");
        notes.push(format!("{answers} still missing: run the evaluation again to complete it."));
    }
    if results.problems > 0 {
        let problems = counted(results.problems, "problem");
        notes.push(format!("The benchmark has {problems}: bad lines were left out."));
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

/// Foreign text with everything made visible that steers a terminal or reorders a line.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\t' => plain.push(c),
            // Unicode has a picture for each of the first 32, and for the one after `~`.
            '\0'..='\u{1f}' => plain.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => plain.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{202d}' | '\u{202e}' => plain.push_str(&format!("[U+{:04X}]", u32::from(c))),
            _ => plain.push(c),
        }
    }
    plain
}

/// [`plain`] on one line, cut after `most` characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    let line = plain(text).replace(['\n', '\t'], " ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
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
        let ends = Interval { low: -0.03, high: 0.05 };
        assert_eq!(point_ends(Some(ends)), "−3.0 to 5.0 points");
    }

    #[test]
    fn a_small_p_is_not_called_zero() {
        let test = |exact_p| McNemar { lost: 9, gained: 0, exact_p, corrected: None };
        assert_eq!(chance(test(0.000_03)), "p < 0.001");
        assert_eq!(chance(test(0.0391)), "p = 0.039");
    }

    #[test]
    fn what_steers_a_terminal_is_made_visible() {
        assert_eq!(plain("a\u{1b}[31mred\0\u{7f}\u{9b}x"), "a␛[31mred␀␡[U+009B]x");
        assert_eq!(plain("one\r\ntwo\ttabs\rback"), "one\ntwo\ttabs␍back");
        assert_eq!(plain("abc\u{202e}fed"), "abc[U+202E]fed");
    }

    #[test]
    fn a_line_is_one_line_and_no_longer_than_asked() {
        assert_eq!(line("a\nb", 9), "a b");
        assert_eq!(line("ещё одно слово", 6), "ещё о…");
    }
}
