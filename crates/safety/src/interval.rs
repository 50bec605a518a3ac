//! How sure a figure is: Wilson's interval for one share, and a bootstrap that resamples whole
//! videos, because the samples of one video are not independent.

use std::{collections::BTreeMap, ops::AddAssign};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::rates::Rate;

/// A confidence interval, `low <= high`, in the units of its figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The normal quantile of a two-sided 95 % interval.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// Wilson's score interval (Wilson 1927) at the normal quantile `z`, for instance [`Z_95`]; assumes
/// independent trials. `None` if nothing could be read.
pub fn wilson(rate: Rate, z: f64) -> Option<Interval> {
    let share = rate.value()?;
    let n = rate.total as f64;
    let z2 = z * z;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    // Exact at the ends, where rounding would leave 1e-17 or 1 + 1e-16.
    Some(Interval {
        low: if rate.hits == 0 {
            0.0
        } else {
            (centre - half).max(0.0)
        },
        high: if rate.hits == rate.total {
            1.0
        } else {
            (centre + half).min(1.0)
        },
    })
}

/// How a bootstrap is run. The same settings on the same clusters give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bootstrap {
    /// Resamples; 10 000 settle the second digit of the ends.
    pub draws: u32,
    /// Of the generator (ChaCha8).
    pub seed: u64,
    /// Confidence, between 0 and 1.
    pub level: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            draws: 10_000,
            seed: 0,
            level: 0.95,
        }
    }
}

/// A percentile interval and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrapped {
    /// The percentiles at `(1 - level) / 2` from either end.
    pub interval: Interval,
    /// Videos resampled.
    pub clusters: usize,
    /// Resamples in which the statistic had no value (0/0); left out of the percentiles.
    pub undefined: u32,
}

impl Bootstrap {
    /// The interval of any `statistic` of a sum over clusters. `clusters` holds one sum a video
    /// (see [`sum_by_cluster`]); each draw takes as many of them, with replacement, adds them and
    /// asks the statistic, so the cost does not grow with the samples inside.
    ///
    /// `None` with fewer than two clusters or if no draw had a value: there is nothing to vary.
    pub fn interval<S>(
        self,
        clusters: &[S],
        statistic: impl Fn(&S) -> Option<f64>,
    ) -> Option<Bootstrapped>
    where
        S: Default + for<'a> AddAssign<&'a S>,
    {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        self.percentiles(clusters.len(), || {
            let mut sum = S::default();
            for _ in 0..clusters.len() {
                sum += &clusters[rng.random_range(0..clusters.len())];
            }
            statistic(&sum)
        })
    }

    /// The interval of a `statistic` that is no function of a sum: it is told how often each of
    /// `clusters` clusters was drawn. Draws the same clusters as [`Bootstrap::interval`].
    pub fn interval_of_draws(
        self,
        clusters: usize,
        statistic: impl Fn(&[u32]) -> Option<f64>,
    ) -> Option<Bootstrapped> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut drawn = vec![0; clusters];
        self.percentiles(clusters, || {
            drawn.fill(0);
            for _ in 0..clusters {
                drawn[rng.random_range(0..clusters)] += 1;
            }
            statistic(&drawn)
        })
    }

    fn percentiles(
        self,
        clusters: usize,
        mut draw: impl FnMut() -> Option<f64>,
    ) -> Option<Bootstrapped> {
        if clusters < 2 {
            return None;
        }
        let mut values = Vec::with_capacity(self.draws as usize);
        for _ in 0..self.draws {
            values.extend(draw().filter(|value| value.is_finite()));
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Some(Bootstrapped {
            interval: Interval {
                low: percentile(&values, tail)?,
                high: percentile(&values, 1.0 - tail)?,
            },
            clusters,
            undefined: self.draws - values.len() as u32,
        })
    }
}

/// One sum for each key (a video's id), in the order of the keys so that the order of the samples
/// does not matter. A sample without a video is its own cluster: give it a key of its own.
pub fn sum_by_cluster<K, S>(items: impl IntoIterator<Item = (K, S)>) -> Vec<S>
where
    K: Ord,
    S: Default + for<'a> AddAssign<&'a S>,
{
    let mut sums = BTreeMap::<K, S>::new();
    for (key, item) in items {
        *sums.entry(key).or_default() += &item;
    }
    sums.into_values().collect()
}

/// Linear between the two nearest of `sorted` (NumPy's default).
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{paired::Pairs, rates::Conditions};

    fn rate(hits: u64, total: u64) -> Rate {
        Rate {
            hits,
            total,
            unreadable: 0,
        }
    }

    const SETTINGS: Bootstrap = Bootstrap {
        draws: 2000,
        seed: 7,
        level: 0.95,
    };

    #[test]
    fn an_interval_of_nothing_is_undefined() {
        assert_eq!(wilson(rate(0, 0), Z_95), None);
        assert_eq!(SETTINGS.interval(&[] as &[Rate], |sum| sum.value()), None);
    }

    #[test]
    fn one_video_has_nothing_to_vary() {
        assert_eq!(SETTINGS.interval(&[rate(3, 9)], |sum| sum.value()), None);
    }

    #[test]
    fn one_seed_gives_the_same_interval_and_another_seed_another() {
        let clusters: Vec<Rate> = (0..50).map(|i| rate(i % 4, 4)).collect();
        let run = |seed| Bootstrap { seed, ..SETTINGS }.interval(&clusters, |sum| sum.value());
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    /// Guards the stream itself: results on disk must be reproducible by later releases.
    #[test]
    fn the_interval_of_a_seed_is_stable() {
        let clusters: Vec<Rate> = (0..20).map(|i| rate(i % 3, 3)).collect();
        let found = SETTINGS.interval(&clusters, |sum| sum.value()).unwrap();
        insta::assert_snapshot!(format!(
            "{:.6} {:.6}",
            found.interval.low, found.interval.high
        ));
    }

    #[test]
    fn samples_of_one_video_count_as_one_observation() {
        // 20 videos, ten equal samples each: Wilson over 200 samples is far too narrow.
        let items = (0..200).map(|i| (i / 10, Rate::one(Some((i / 10) % 2 == 0))));
        let clusters = sum_by_cluster(items);
        assert_eq!(clusters.len(), 20);
        let found = SETTINGS
            .interval(&clusters, |sum| sum.value())
            .unwrap()
            .interval;
        let naive = wilson(rate(100, 200), Z_95).unwrap();
        assert!(
            found.high - found.low > 2.0 * (naive.high - naive.low),
            "{found:?} {naive:?}"
        );
    }

    #[test]
    fn single_sample_clusters_agree_with_wilson() {
        let clusters: Vec<Rate> = (0..400).map(|i| Rate::one(Some(i % 4 == 0))).collect();
        let found = SETTINGS
            .interval(&clusters, |sum| sum.value())
            .unwrap()
            .interval;
        let expected = wilson(rate(100, 400), Z_95).unwrap();
        assert!(
            (found.low - expected.low).abs() < 0.01,
            "{found:?} {expected:?}"
        );
        assert!(
            (found.high - expected.high).abs() < 0.01,
            "{found:?} {expected:?}"
        );
    }

    #[test]
    fn a_statistic_may_be_a_drop_or_a_paired_difference() {
        let drops: Vec<Conditions> = (0..60)
            .map(|i| Conditions {
                with_video: Rate::one(Some(i % 5 == 0)),
                without_video: Rate::one(Some(i % 5 != 1)),
            })
            .collect();
        let drop = SETTINGS
            .interval(&drops, |sum| sum.relative_drop())
            .unwrap()
            .interval;
        assert!(drop.low < 0.75 && 0.75 < drop.high, "{drop:?}");

        let pairs: Vec<Pairs> = (0..60)
            .map(|i| Pairs {
                lost: i % 2,
                both_safe: 1 - i % 2,
                ..Pairs::default()
            })
            .collect();
        let difference = SETTINGS
            .interval(&pairs, |sum| sum.difference())
            .unwrap()
            .interval;
        assert!(
            difference.low < 0.5 && 0.5 < difference.high,
            "{difference:?}"
        );
    }

    #[test]
    fn draws_without_a_value_are_counted_and_left_out() {
        let clusters = [rate(0, 0), rate(1, 1)];
        let found = SETTINGS.interval(&clusters, |sum| sum.value()).unwrap();
        assert_eq!(
            found.interval,
            Interval {
                low: 1.0,
                high: 1.0
            }
        );
        let expected = f64::from(SETTINGS.draws) / 4.0;
        assert!(
            (f64::from(found.undefined) - expected).abs() < 100.0,
            "{}",
            found.undefined
        );
    }

    #[test]
    fn a_statistic_that_never_has_a_value_has_no_interval() {
        assert_eq!(
            SETTINGS.interval(&[rate(0, 0), rate(0, 0)], |sum| sum.value()),
            None
        );
    }

    #[test]
    fn the_order_of_the_samples_does_not_matter() {
        let items: Vec<(u32, Rate)> = (0..90)
            .map(|i| (i % 9, Rate::one(Some(i % 7 == 0))))
            .collect();
        let backwards = items.iter().rev().copied();
        assert_eq!(sum_by_cluster(items.clone()), sum_by_cluster(backwards));
    }

    #[test]
    fn percentiles_are_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&sorted, 0.5), Some(3.0));
        assert_eq!(percentile(&sorted, 0.25), Some(1.75));
        assert_eq!(percentile(&sorted, 1.0), Some(8.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    proptest! {
        #[test]
        fn wilson_lies_in_the_unit_interval_around_the_share(total in 1u64..5000, part in 0.0..=1.0, z in 0.1f64..5.0) {
            let rate = rate((total as f64 * part) as u64, total);
            let interval = wilson(rate, z).unwrap();
            let share = rate.value().unwrap();
            prop_assert!(0.0 <= interval.low && interval.high <= 1.0);
            prop_assert!(interval.low <= share && share <= interval.high);
        }

        #[test]
        fn a_bootstrap_stays_between_the_extreme_clusters(hits in prop::collection::vec(0u64..=5, 2..20)) {
            let clusters: Vec<Rate> = hits.iter().map(|&hits| rate(hits, 5)).collect();
            let settings = Bootstrap { draws: 50, ..SETTINGS };
            let found = settings.interval(&clusters, |sum| sum.value()).unwrap().interval;
            let extremes = |f: fn(f64, f64) -> f64| hits.iter().map(|&h| h as f64 / 5.0).reduce(f).unwrap();
            prop_assert!(found.low <= found.high);
            prop_assert!(extremes(f64::min) <= found.low + 1e-12 && found.high <= extremes(f64::max) + 1e-12);
        }
    }
}
