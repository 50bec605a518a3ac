//! Benchmarks and evaluations as a user of the crate meets them.

mod benchmarks;
mod evaluation;
mod world;
