//! Which samples are learnt from together, and when: a pure function of seed and epoch, so that a
//! position in it is two numbers.

use rand::RngCore;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// How large a micro-batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Batch {
    /// This many samples.
    Samples(usize),
    /// As many samples as fit when each is padded to the longest, and one at least.
    Tokens(usize),
}

/// Everything that the order depends on.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Of the run.
    pub seed: u64,
    /// Tokens of each sample.
    pub lengths: &'a [usize],
    /// How large a micro-batch is.
    pub batch: Batch,
    /// Samples that are drawn, sorted by length and cut into micro-batches at a time. The more, the
    /// less padding and the less chance in who meets whom; 1 does not sort.
    pub window: usize,
}

/// A place between two micro-batches of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Full passes before this place.
    pub epoch: usize,
    /// Micro-batches of this epoch before this place.
    pub batch: usize,
}

impl Order<'_> {
    /// The micro-batches of one pass, as indices of samples: each sample once.
    pub fn epoch(&self, epoch: usize) -> Vec<Vec<usize>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch as u64);
        let mut drawn: Vec<usize> = (0..self.lengths.len()).collect();
        shuffle(&mut drawn, &mut rng);
        if self.window < 2 {
            return self.cut(&drawn);
        }
        let window = match self.batch {
            // Else each window would end with a small micro-batch.
            Batch::Samples(most) => self.window.next_multiple_of(most),
            Batch::Tokens(_) => self.window,
        };
        let mut batches = Vec::new();
        for window in drawn.chunks_mut(window) {
            window.sort_by_key(|&sample| self.lengths[sample]);
            batches.extend(self.cut(window));
        }
        shuffle(&mut batches, &mut rng);
        batches
    }

    fn cut(&self, samples: &[usize]) -> Vec<Vec<usize>> {
        let mut batches: Vec<Vec<usize>> = Vec::new();
        let mut longest = 0;
        for &sample in samples {
            let length = self.lengths[sample].max(longest);
            let fits = batches.last().is_some_and(|batch| match self.batch {
                Batch::Samples(most) => batch.len() < most,
                Batch::Tokens(most) => length.saturating_mul(batch.len() + 1) <= most,
            });
            match batches.last_mut() {
                Some(batch) if fits => {
                    batch.push(sample);
                    longest = length;
                }
                _ => {
                    batches.push(vec![sample]);
                    longest = self.lengths[sample];
                }
            }
        }
        batches
    }
}

/// Fisher and Yates, written here so that the bytes of a run do not change with a library's release.
fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        // The high half of the product is uniform up to a bias of `last / 2^64`.
        let chosen = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        items.swap(last, chosen as usize);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(lengths: &[usize], batch: Batch, window: usize) -> Order<'_> {
        Order {
            seed: 7,
            lengths,
            batch,
            window,
        }
    }

    #[test]
    fn the_same_seed_and_epoch_give_the_same_order() {
        let lengths = [5; 50];
        let order = order(&lengths, Batch::Samples(4), 20);
        assert_eq!(order.epoch(3), order.epoch(3));
    }

    #[test]
    fn another_epoch_or_seed_gives_another_order() {
        let lengths = [5; 50];
        let order = order(&lengths, Batch::Samples(4), 20);
        assert_ne!(order.epoch(0), order.epoch(1));
        assert_ne!(order.epoch(0), Order { seed: 8, ..order }.epoch(0));
    }

    #[test]
    fn the_order_does_not_change_with_releases() {
        let lengths = [1; 10];
        let drawn = order(&lengths, Batch::Samples(10), 1).epoch(0).concat();
        assert_eq!(drawn, GOLDEN);
    }

    #[test]
    fn a_sample_longer_than_the_budget_stands_alone() {
        let lengths = [100, 3, 3];
        let batches = order(&lengths, Batch::Tokens(10), 3).epoch(0);
        assert!(batches.contains(&vec![0]), "{batches:?}");
        assert_eq!(batches.len(), 2);
    }

    #[test]
    fn samples_of_similar_length_meet() {
        let lengths: Vec<usize> = (0..64).map(|i| if i % 2 == 0 { 10 } else { 100 }).collect();
        for batch in order(&lengths, Batch::Samples(8), 64).epoch(0) {
            assert!(
                batch.iter().all(|&i| lengths[i] == lengths[batch[0]]),
                "{batch:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn each_sample_is_learnt_from_once_and_within_the_budget(
            lengths in prop::collection::vec(1usize..200, 0..60),
            most in 1usize..400,
            window in 0usize..70,
            epoch in 0usize..5,
        ) {
            let batches = order(&lengths, Batch::Tokens(most), window).epoch(epoch);
            let mut all = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let longest = batch.iter().map(|&i| lengths[i]).max().unwrap();
                prop_assert!(batch.len() == 1 || longest * batch.len() <= most);
            }
        }
    }

    const GOLDEN: [usize; 10] = [4, 6, 2, 0, 8, 3, 7, 5, 9, 1];
}
