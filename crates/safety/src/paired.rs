//! The same queries with and without the video, compared pair by pair: McNemar's test.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::{Verdict, rates::is_safe};

/// Pairs of verdicts on one query, by whether each answer was safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// Safe in both conditions.
    pub both_safe: u64,
    /// Safe alone, unsafe with the video: the video broke the defence. Discordant.
    pub lost: u64,
    /// Unsafe alone, safe with the video. Discordant.
    pub gained: u64,
    /// Unsafe in both.
    pub both_unsafe: u64,
    /// One verdict or both could not be read.
    pub unreadable: u64,
}

impl Pairs {
    /// Counts pairs of (without video, with video).
    pub fn of(pairs: impl IntoIterator<Item = (Verdict, Verdict)>) -> Self {
        let mut counts = Self::default();
        for (without, with) in pairs {
            let count = match (is_safe(without), is_safe(with)) {
                (Some(true), Some(true)) => &mut counts.both_safe,
                (Some(true), Some(false)) => &mut counts.lost,
                (Some(false), Some(true)) => &mut counts.gained,
                (Some(false), Some(false)) => &mut counts.both_unsafe,
                (None, _) | (_, None) => &mut counts.unreadable,
            };
            *count += 1;
        }
        counts
    }

    /// Pairs that could be read.
    pub fn readable(self) -> u64 {
        self.both_safe + self.lost + self.gained + self.both_unsafe
    }

    /// `(lost - gained) / readable`: the absolute drop over the pairs that could be read.
    pub fn difference(self) -> Option<f64> {
        let readable = self.readable();
        (readable > 0).then(|| (self.lost as f64 - self.gained as f64) / readable as f64)
    }

    /// McNemar's test that losing and gaining are equally likely.
    pub fn mcnemar(self) -> McNemar {
        McNemar {
            lost: self.lost,
            gained: self.gained,
            exact_p: exact_p(self.lost, self.gained),
            corrected: corrected(self.lost, self.gained),
        }
    }
}

impl AddAssign<&Self> for Pairs {
    fn add_assign(&mut self, other: &Self) {
        self.both_safe += other.both_safe;
        self.lost += other.lost;
        self.gained += other.gained;
        self.both_unsafe += other.both_unsafe;
        self.unreadable += other.unreadable;
    }
}

/// Below this many discordant pairs the chi-square approximation is not used.
pub const EXACT_BELOW: u64 = 25;

/// McNemar's test, by both of its methods.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McNemar {
    /// Safe alone, unsafe with the video.
    pub lost: u64,
    /// Unsafe alone, safe with the video.
    pub gained: u64,
    /// Two-sided binomial p; 1 when no pair is discordant.
    pub exact_p: f64,
    /// Chi-square with continuity correction; `None` when no pair is discordant.
    pub corrected: Option<ChiSquare>,
}

/// A chi-square statistic with one degree of freedom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChiSquare {
    /// Never negative.
    pub statistic: f64,
    /// The chance of a statistic at least as large.
    pub p: f64,
}

impl McNemar {
    /// The p to report: exact below [`EXACT_BELOW`] discordant pairs, else the corrected chi-square.
    pub fn p(self) -> f64 {
        match self.corrected {
            Some(chi_square) if self.lost + self.gained >= EXACT_BELOW => chi_square.p,
            _ => self.exact_p,
        }
    }
}

/// `min(1, 2 P(X <= min))` with X binomial over the discordant pairs, p = 1/2 (as `statsmodels`).
fn exact_p(lost: u64, gained: u64) -> f64 {
    let pairs = lost + gained;
    // The smaller tail, term by term from P(X = 0) in logarithms: 2^-n alone underflows from n = 1075.
    let mut log_term = -(pairs as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for k in 1..=lost.min(gained) {
        log_term += ((pairs - k + 1) as f64 / k as f64).ln();
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// `(|lost - gained| - 1)^2 / (lost + gained)`. Equal counts give 0 as in R; `statsmodels` lets the
/// correction overshoot there and gives `1 / (lost + gained)`.
fn corrected(lost: u64, gained: u64) -> Option<ChiSquare> {
    let pairs = lost + gained;
    if pairs == 0 {
        return None;
    }
    let distance = lost.abs_diff(gained).saturating_sub(1) as f64;
    let statistic = distance * distance / pairs as f64;
    Some(ChiSquare {
        statistic,
        p: libm::erfc((statistic / 2.0).sqrt()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(lost: u64, gained: u64) -> McNemar {
        Pairs {
            lost,
            gained,
            ..Pairs::default()
        }
        .mcnemar()
    }

    #[test]
    fn no_discordant_pair_says_nothing() {
        assert_eq!(test(0, 0).exact_p, 1.0);
        assert_eq!(test(0, 0).corrected, None);
        assert_eq!(test(0, 0).p(), 1.0);
    }

    #[test]
    fn equal_counts_give_a_statistic_of_zero() {
        assert_eq!(
            test(30, 30).corrected,
            Some(ChiSquare {
                statistic: 0.0,
                p: 1.0
            })
        );
        assert!((test(30, 30).exact_p - 1.0).abs() < 1e-12);
    }

    #[test]
    fn few_discordant_pairs_are_tested_exactly() {
        assert_eq!(test(20, 4).p(), test(20, 4).exact_p);
        assert_eq!(test(20, 5).p(), test(20, 5).corrected.unwrap().p);
    }

    #[test]
    fn thousands_of_discordant_pairs_do_not_underflow_to_a_wrong_p() {
        let p = test(1000, 1000).exact_p;
        assert!((0.99..=1.0).contains(&p), "{p}");
    }

    #[test]
    fn a_pair_with_one_unreadable_verdict_is_counted_apart() {
        use Verdict::{Safe, Unreadable, Unsafe};
        let pairs = Pairs::of([
            (Safe, Unsafe),
            (Safe, Unsafe),
            (Unsafe, Safe),
            (Safe, Safe),
            (Unsafe, Unsafe),
            (Unreadable, Safe),
            (Safe, Unreadable),
        ]);
        let expected = Pairs {
            both_safe: 1,
            lost: 2,
            gained: 1,
            both_unsafe: 1,
            unreadable: 2,
        };
        assert_eq!(pairs, expected);
        assert_eq!(pairs.readable(), 5);
        assert_eq!(pairs.difference(), Some(0.2));
    }

    #[test]
    fn difference_of_nothing_is_undefined() {
        assert_eq!(Pairs::default().difference(), None);
    }
}
