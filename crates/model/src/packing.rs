//! Several sequences in one row, without padding: which positions belong together, and which
//! sequence continues another.

use std::ops::Range;

use crate::error::{Error, Result};

/// Consecutive positions of a row that attention treats as one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Positions, 1 or more.
    pub length: usize,
    /// The earlier segment that this one continues: its positions go on after that one's, and it
    /// attends to that one and to whatever that one continues. Several segments may continue one.
    pub after: Option<usize>,
}

/// How a row `[S, E]` is made of segments, in order and without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    segments: Vec<Segment>,
    /// Where each begins in the row.
    starts: Vec<usize>,
}

impl Packing {
    /// Checks that the segments make a row.
    ///
    /// # Errors
    /// If there is none, one is empty, or one continues itself, a later one, or one that is not there.
    pub fn new(segments: Vec<Segment>) -> Result<Self> {
        let mut starts = Vec::with_capacity(segments.len());
        let mut rows = 0;
        for (index, segment) in segments.iter().enumerate() {
            if segment.length == 0 {
                return Err(Error::Input(format!(
                    "segment {index} of a packed row is empty: leave it out"
                )));
            }
            if let Some(after) = segment.after.filter(|&after| after >= index) {
                return Err(Error::Input(format!(
                    "segment {index} of a packed row continues segment {after}, which is not before it: \
                     put a prefix before its continuations"
                )));
            }
            starts.push(rows);
            rows += segment.length;
        }
        if rows == 0 {
            return Err(Error::Input("a packed row has no segments".to_owned()));
        }
        Ok(Self { segments, starts })
    }

    /// Sequences of these lengths, none continuing another.
    ///
    /// # Errors
    /// As [`Packing::new`].
    pub fn apart(lengths: &[usize]) -> Result<Self> {
        let alone = |&length| Segment {
            length,
            after: None,
        };
        Self::new(lengths.iter().map(alone).collect())
    }

    /// Positions of the row, S.
    pub fn rows(&self) -> usize {
        let last = self.segments.len() - 1;
        self.starts[last] + self.segments[last].length
    }

    /// Its segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Where segment `index` is in the row.
    ///
    /// # Panics
    /// If there is no such segment.
    pub fn range(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts[index] + self.segments[index].length
    }

    /// What segment `index` continues, the beginning first, and it last.
    pub(crate) fn chain(&self, index: usize) -> Vec<usize> {
        let mut chain = vec![index];
        let mut at = index;
        while let Some(after) = self.segments[at].after {
            chain.push(after);
            at = after;
        }
        chain.reverse();
        chain
    }

    /// Position of each place of the row in its sequence.
    pub(crate) fn positions(&self) -> Vec<usize> {
        let mut ends: Vec<usize> = Vec::with_capacity(self.segments.len());
        let mut positions = Vec::with_capacity(self.rows());
        for segment in &self.segments {
            let first = segment.after.map_or(0, |after| ends[after]);
            positions.extend(first..first + segment.length);
            ends.push(first + segment.length);
        }
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Packing {
        let segment = |length, after| Segment { length, after };
        Packing::new(vec![
            segment(3, None),
            segment(2, Some(0)),
            segment(2, None),
            segment(1, Some(0)),
            segment(2, Some(1)),
        ])
        .expect("every prefix is before its continuations")
    }

    #[test]
    fn positions_go_on_after_the_prefix() {
        assert_eq!(tree().positions(), [0, 1, 2, 3, 4, 0, 1, 3, 5, 6]);
    }

    #[test]
    fn a_chain_begins_where_nothing_is_continued() {
        assert_eq!(tree().chain(4), [0, 1, 4]);
        assert_eq!(tree().chain(2), [2]);
    }

    #[test]
    fn segments_follow_each_other_in_the_row() {
        assert_eq!(tree().range(3), 7..8);
        assert_eq!(tree().rows(), 10);
    }

    #[track_caller]
    fn check_refused(segments: Vec<Segment>, says: &str) {
        let error = Packing::new(segments).expect_err("it is no row");
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn a_row_has_a_segment() {
        check_refused(Vec::new(), "no segments");
    }

    #[test]
    fn an_empty_segment_is_refused() {
        let segments = vec![Segment {
            length: 0,
            after: None,
        }];
        check_refused(segments, "segment 0 of a packed row is empty");
    }

    #[test]
    fn a_prefix_after_its_continuation_is_refused() {
        let segment = |after| Segment { length: 1, after };
        check_refused(vec![segment(Some(1)), segment(None)], "segment 0");
        check_refused(vec![segment(None), segment(Some(1))], "segment 1");
    }
}
