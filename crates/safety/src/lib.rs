//! The words of the field, in reading order: what can be harmful ([`taxonomy`]), what is asked
//! ([`sample`]), what came back ([`outcome`], [`completion`], [`refusal`], [`relevance`], [`rouge`]), what it
//! means ([`verdict`]) and what all of it adds up to ([`rates`], [`interval`], [`paired`], [`auroc`]).
//!
//! Pure: no files, no network, no tensors.

#![warn(missing_docs)]

pub mod auroc;
pub mod completion;
pub mod error;
pub mod interval;
pub mod label;
pub mod language;
pub mod outcome;
pub mod paired;
pub mod rates;
pub mod refusal;
pub mod relevance;
pub mod rouge;
pub mod sample;
pub mod taxonomy;
pub mod verdict;

pub use completion::Completion;
pub use error::Error;
pub use label::SafetyLabel;
pub use language::Language;
pub use outcome::{Ending, Outcome};
pub use rates::Rate;
pub use sample::{Labels, Sample, Subset, VideoRef};
pub use taxonomy::Taxonomy;
pub use verdict::Verdict;
