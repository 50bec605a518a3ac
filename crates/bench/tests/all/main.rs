//! Benchmarks and evaluations as a user of the crate meets them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod alarm;
mod benchmarks;
mod evaluation;
mod films;
mod resuming;
mod scoring;
mod world;
