//! A conversation as tokens: what the decoder reads, and where the vision tokens and the alarm
//! tokens stand in it. This file owns positions.

use std::ops::Range;

/// Where the two alarm tokens stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmPositions {
    /// Index into `input_ids` of `<|visual_alarm|>`.
    pub visual: usize,
    /// Index into `input_ids` of `<|textual_alarm|>`.
    pub textual: usize,
}

/// One conversation as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The rendered prompt, placeholders expanded.
    pub prompt: String,
    /// `[S]`
    pub input_ids: Vec<u32>,
    /// For each medium in the order of the prompt, the runs of its vision tokens in `input_ids`.
    pub vision: Vec<Vec<Range<usize>>>,
    /// Where the alarm tokens stand, in a model that has them.
    pub alarm: Option<AlarmPositions>,
    /// `[S]` in training: the token itself where it is a target, `None` where it is only read.
    pub labels: Option<Vec<Option<u32>>>,
}
