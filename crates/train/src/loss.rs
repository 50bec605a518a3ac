//! What is minimised, one loss a file. Each is divided by a count over the whole optimizer step, so
//! that the losses of micro-batches add up to the loss of one big batch.

mod cross_entropy;
pub mod next_token;
