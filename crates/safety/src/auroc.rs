//! How well a score tells harmful from safe: the area under the ROC curve, which is the chance that a
//! harmful item scores higher than a safe one, ties counted half. And how sure that is.

use std::collections::BTreeMap;

use crate::SafetyLabel;
use crate::interval::{Bootstrap, Bootstrapped};

/// One item with a score and a known label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Higher is more harmful; of any scale, but a number.
    pub score: f64,
    /// What it is.
    pub label: SafetyLabel,
}

/// The area under the ROC curve, 0..1; one half is chance. `None` unless there is an item of each label.
pub fn auroc(items: &[Scored]) -> Option<f64> {
    Ranked::of(items.iter().map(|item| (0, *item))).area(&[1])
}

/// The interval of [`auroc`] over all items, resampling whole clusters (a video's samples). The order
/// of the items does not matter. `None` with fewer than two clusters or if no draw had both labels.
pub fn clustered_interval<K: Ord>(
    items: impl IntoIterator<Item = (K, Scored)>,
    bootstrap: Bootstrap,
) -> Option<Bootstrapped> {
    let mut clusters = BTreeMap::<K, Vec<Scored>>::new();
    for (key, item) in items {
        clusters.entry(key).or_default().push(item);
    }
    let count = clusters.len();
    let items = clusters.into_values().enumerate();
    let items =
        items.flat_map(|(cluster, items)| items.into_iter().map(move |item| (cluster, item)));
    let ranked = Ranked::of(items);
    bootstrap.interval_of_draws(count, |drawn| ranked.area(drawn))
}

/// Items by rising score, so that each draw is one pass over them.
struct Ranked {
    /// Of equal scores, side by side: cluster and label.
    ties: Vec<Vec<(usize, SafetyLabel)>>,
}

impl Ranked {
    fn of(items: impl Iterator<Item = (usize, Scored)>) -> Self {
        let mut items: Vec<_> = items.collect();
        items.sort_by(|(_, a), (_, b)| a.score.total_cmp(&b.score));
        let ties = items
            .chunk_by(|(_, a), (_, b)| a.score == b.score)
            .map(|tie| {
                tie.iter()
                    .map(|(cluster, item)| (*cluster, item.label))
                    .collect()
            })
            .collect();
        Self { ties }
    }

    /// The area where each cluster is there `drawn` times. Whole numbers until the last division, so
    /// that the order of equal scores changes nothing.
    fn area(&self, drawn: &[u32]) -> Option<f64> {
        let (mut harmful, mut safe, mut doubled) = (0u64, 0u64, 0u128);
        for tie in &self.ties {
            let (mut harmful_here, mut safe_here) = (0u64, 0u64);
            for (cluster, label) in tie {
                match label {
                    SafetyLabel::Harmful => harmful_here += u64::from(drawn[*cluster]),
                    SafetyLabel::Safe => safe_here += u64::from(drawn[*cluster]),
                }
            }
            doubled += u128::from(harmful_here) * u128::from(2 * safe + safe_here);
            harmful += harmful_here;
            safe += safe_here;
        }
        let pairs = u128::from(harmful) * u128::from(safe);
        (pairs > 0).then(|| doubled as f64 / (2 * pairs) as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(harmful: &[f64], safe: &[f64]) -> Vec<Scored> {
        let of = |label| {
            move |score: &f64| Scored {
                score: *score,
                label,
            }
        };
        let harmful = harmful.iter().map(of(SafetyLabel::Harmful));
        harmful
            .chain(safe.iter().map(of(SafetyLabel::Safe)))
            .collect()
    }

    #[track_caller]
    fn check(harmful: &[f64], safe: &[f64], expected: Option<f64>) {
        assert_eq!(auroc(&items(harmful, safe)), expected);
    }

    #[test]
    fn parted_scores_are_perfect_and_turned_round_are_worst() {
        check(&[0.8, 0.9], &[0.1, 0.7], Some(1.0));
        check(&[0.1, 0.7], &[0.8, 0.9], Some(0.0));
    }

    #[test]
    fn equal_scores_are_a_coin() {
        check(&[0.5, 0.5, 0.5], &[0.5], Some(0.5));
    }

    #[test]
    fn a_tie_counts_half() {
        check(&[0.5, 0.9], &[0.5], Some(0.75));
    }

    #[test]
    fn one_label_alone_says_nothing() {
        check(&[0.5, 0.9], &[], None);
        check(&[], &[0.5], None);
        check(&[], &[], None);
    }

    const SETTINGS: Bootstrap = Bootstrap {
        draws: 1000,
        seed: 7,
        level: 0.95,
    };

    #[test]
    fn a_perfect_score_has_an_interval_of_ones() {
        let all = items(&[0.8, 0.9, 0.95], &[0.1, 0.2, 0.7]);
        let found = clustered_interval(all.into_iter().enumerate(), SETTINGS).unwrap();
        assert_eq!((found.interval.low, found.interval.high), (1.0, 1.0));
        assert_eq!(found.clusters, 6);
        assert!(found.undefined > 0, "some draws hold one label only");
    }

    #[test]
    fn samples_of_one_video_count_as_one_observation() {
        // Forty items, ten of each video: far less is known than from forty videos.
        let score = |i: usize| f64::from(((i * 7) % 40) as u32);
        let label = |i: usize| {
            if i % 20 < 10 {
                SafetyLabel::Harmful
            } else {
                SafetyLabel::Safe
            }
        };
        let of = |size: usize| {
            let keyed = (0..40).map(|i| {
                (
                    i / size,
                    Scored {
                        score: score(i / size * size),
                        label: label(i),
                    },
                )
            });
            let found = clustered_interval(keyed, SETTINGS).unwrap().interval;
            found.high - found.low
        };
        assert!(of(10) >= of(1), "{} {}", of(10), of(1));
    }

    #[test]
    fn one_seed_gives_the_same_interval_in_any_order() {
        let keyed = |i: u32| {
            let label = if i.is_multiple_of(3) {
                SafetyLabel::Harmful
            } else {
                SafetyLabel::Safe
            };
            (
                i / 2,
                Scored {
                    score: f64::from(i * 37 % 50),
                    label,
                },
            )
        };
        let forward = clustered_interval((0..50).map(keyed), SETTINGS);
        assert_eq!(
            forward,
            clustered_interval((0..50).rev().map(keyed), SETTINGS)
        );
        let other = Bootstrap {
            seed: 8,
            ..SETTINGS
        };
        assert_ne!(forward, clustered_interval((0..50).map(keyed), other));
    }

    /// Guards the stream itself: results on disk must be reproducible by later releases.
    #[test]
    fn the_interval_of_a_seed_is_stable() {
        let keyed = (0..30u32).map(|i| {
            let label = if i % 2 == 0 {
                SafetyLabel::Harmful
            } else {
                SafetyLabel::Safe
            };
            (
                i / 2,
                Scored {
                    score: f64::from(i * 7 % 11),
                    label,
                },
            )
        });
        let found = clustered_interval(keyed, SETTINGS).unwrap().interval;
        insta::assert_snapshot!(format!("{:.6} {:.6}", found.low, found.high));
    }

    proptest! {
        #[test]
        fn a_cluster_drawn_twice_is_its_items_twice(
            scores in prop::collection::vec((0u32..9, any::<bool>(), 0u32..4), 1..30)
        ) {
            let label = |harmful: bool| if harmful { SafetyLabel::Harmful } else { SafetyLabel::Safe };
            let item = |score: u32, harmful| Scored { score: f64::from(score), label: label(harmful) };
            let ranked = Ranked::of(
                scores.iter().enumerate().map(|(i, (score, harmful, _))| (i, item(*score, *harmful))),
            );
            let drawn: Vec<u32> = scores.iter().map(|(_, _, times)| *times).collect();
            let repeated: Vec<Scored> = scores
                .iter()
                .flat_map(|(score, harmful, times)| (0..*times).map(|_| item(*score, *harmful)))
                .collect();
            prop_assert_eq!(ranked.area(&drawn), auroc(&repeated));
        }

        #[test]
        fn turning_the_scores_round_turns_the_area_round(
            scores in prop::collection::vec((0u32..9, any::<bool>()), 1..30)
        ) {
            let label = |harmful: bool| if harmful { SafetyLabel::Harmful } else { SafetyLabel::Safe };
            let of = |sign: f64| {
                let item = |(score, harmful): &(u32, bool)| Scored {
                    score: sign * f64::from(*score),
                    label: label(*harmful),
                };
                auroc(&scores.iter().map(item).collect::<Vec<_>>())
            };
            match (of(1.0), of(-1.0)) {
                (Some(up), Some(down)) => prop_assert!((up + down - 1.0).abs() < 1e-12),
                (up, down) => prop_assert_eq!(up, down),
            }
        }
    }
}
