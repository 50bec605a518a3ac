//! Which samples are learnt from together, and when: a pure function of seed and epoch, so that a
//! position in it is two numbers.

use rand::RngCore;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// How large a micro-batch is: within every limit that is given, and one sample at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// At most so many samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// At most so many tokens, those of vision included: samples are packed, never padded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// At most so many patches for the vision encoder, each several to a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patches: Option<usize>,
}

impl Batch {
    /// Limited by a number of samples alone.
    pub fn samples(most: usize) -> Self {
        Self {
            samples: Some(most),
            ..Self::default()
        }
    }

    /// Limited by a number of tokens alone.
    pub fn tokens(most: usize) -> Self {
        Self {
            tokens: Some(most),
            ..Self::default()
        }
    }

    /// Whether so much still is one micro-batch.
    fn holds(self, samples: usize, size: Size) -> bool {
        let within = |limit: Option<usize>, value| limit.is_none_or(|limit| value <= limit);
        within(self.samples, samples)
            && within(self.tokens, size.tokens)
            && within(self.patches, size.patches)
    }
}

/// What a sample costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Of the sequence.
    pub tokens: usize,
    /// Of its media.
    pub patches: usize,
}

impl std::ops::Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            patches: self.patches.saturating_add(other.patches),
        }
    }
}

/// Everything that the order depends on.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Of the run.
    pub seed: u64,
    /// Of each sample.
    pub sizes: &'a [Size],
    /// How large a micro-batch is.
    pub batch: Batch,
    /// Samples that are drawn, sorted by length and cut into micro-batches at a time. The more, the
    /// more alike in length are those that meet, which is faster, and the less is left to chance;
    /// 1 does not sort.
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
        let mut drawn: Vec<usize> = (0..self.sizes.len()).collect();
        shuffle(&mut drawn, &mut rng);
        if self.window < 2 {
            return self.cut(&drawn);
        }
        let window = match self.batch.samples {
            // Else each window would end with a small micro-batch.
            Some(most) => self.window.next_multiple_of(most),
            None => self.window,
        };
        let mut batches = Vec::new();
        for window in drawn.chunks_mut(window) {
            window.sort_by_key(|&sample| self.sizes[sample].tokens);
            batches.extend(self.cut(window));
        }
        shuffle(&mut batches, &mut rng);
        batches
    }

    fn cut(&self, samples: &[usize]) -> Vec<Vec<usize>> {
        let mut batches: Vec<Vec<usize>> = Vec::new();
        let mut sum = Size::default();
        for &sample in samples {
            let size = self.sizes[sample];
            match batches.last_mut() {
                Some(batch) if self.batch.holds(batch.len() + 1, sum + size) => {
                    batch.push(sample);
                    sum = sum + size;
                }
                _ => {
                    batches.push(vec![sample]);
                    sum = size;
                }
            }
        }
        batches
    }
}

/// Fisher and Yates, written here so that the bytes of a run do not change with a library's release.
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
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

    fn order(sizes: &[Size], batch: Batch, window: usize) -> Order<'_> {
        Order {
            seed: 7,
            sizes,
            batch,
            window,
        }
    }

    fn sizes(tokens: impl IntoIterator<Item = usize>) -> Vec<Size> {
        let size = |tokens| Size { tokens, patches: 0 };
        tokens.into_iter().map(size).collect()
    }

    #[test]
    fn the_same_seed_and_epoch_give_the_same_order() {
        let lengths = sizes([5; 50]);
        let order = order(&lengths, Batch::samples(4), 20);
        assert_eq!(order.epoch(3), order.epoch(3));
    }

    #[test]
    fn another_epoch_or_seed_gives_another_order() {
        let lengths = sizes([5; 50]);
        let order = order(&lengths, Batch::samples(4), 20);
        assert_ne!(order.epoch(0), order.epoch(1));
        assert_ne!(order.epoch(0), Order { seed: 8, ..order }.epoch(0));
    }

    #[test]
    fn the_order_does_not_change_with_releases() {
        let lengths = sizes([1; 10]);
        let drawn = order(&lengths, Batch::samples(10), 1).epoch(0).concat();
        assert_eq!(drawn, GOLDEN);
    }

    #[test]
    fn a_sample_longer_than_the_budget_stands_alone() {
        let lengths = sizes([100, 3, 3]);
        let batches = order(&lengths, Batch::tokens(10), 3).epoch(0);
        assert!(batches.contains(&vec![0]), "{batches:?}");
        assert_eq!(batches.len(), 2);
    }

    #[test]
    fn patches_are_a_budget_of_their_own() {
        let size = |patches| Size { tokens: 1, patches };
        let sizes = [size(6), size(6), size(6)];
        let batch = Batch {
            patches: Some(12),
            ..Batch::tokens(100)
        };
        let lengths: Vec<usize> = order(&sizes, batch, 1)
            .epoch(0)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(lengths, [2, 1]);
    }

    #[test]
    fn samples_of_similar_length_meet() {
        let lengths = sizes((0..64).map(|i| if i % 2 == 0 { 10 } else { 100 }));
        for batch in order(&lengths, Batch::samples(8), 64).epoch(0) {
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
            let lengths = sizes(lengths);
            let batches = order(&lengths, Batch::tokens(most), window).epoch(epoch);
            let mut all = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let tokens: usize = batch.iter().map(|&i| lengths[i].tokens).sum();
                prop_assert!(batch.len() == 1 || tokens <= most);
            }
        }
    }

    const GOLDEN: [usize; 10] = [4, 6, 2, 0, 8, 3, 7, 5, 9, 1];
}
