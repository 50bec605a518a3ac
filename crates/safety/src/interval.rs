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
        if clusters.len() < 2 {
            return None;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut values = Vec::with_capacity(self.draws as usize);
        for _ in 0..self.draws {
            let mut sum = S::default();
            for _ in 0..clusters.len() {
                sum += &clusters[rng.random_range(0..clusters.len())];
            }
            values.extend(statistic(&sum).filter(|value| value.is_finite()));
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Some(Bootstrapped {
            interval: Interval {
                low: percentile(&values, tail)?,
                high: percentile(&values, 1.0 - tail)?,
            },
            clusters: clusters.len(),
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
