//! Batches to better weights, in reading order: what a run is asked to do ([`recipe`]), the samples
//! it learns from ([`data`], [`feed`]) and in which order ([`order`]), what rollouts earn
//! ([`reward`], [`advantage`]), what is minimised ([`loss`]), how one optimizer step is computed
//! ([`step`]: micro-batches to [`gradient`]s) and taken ([`groups`], [`schedule`], [`optimizer`]),
//! what is written down ([`events`], [`tensorboard`], [`checkpoint`]) and the loop around all of it
//! ([`run`]). [`forward`] and [`stages`] join these to the model.
//!
//! Same recipe, same data, same starting weights: same bytes, also after `kill -9` and resumption.

pub mod advantage;
pub mod checkpoint;
pub mod data;
pub mod error;
pub mod events;
pub mod feed;
pub mod forward;
pub mod gradient;
pub mod groups;
mod lock;
pub mod loss;
pub mod optimizer;
pub mod order;
pub mod pack;
pub mod plan;
pub mod recipe;
pub mod reward;
pub mod rollouts;
pub mod rounds;
pub mod run;
pub mod schedule;
pub mod stages;
pub mod step;
pub mod tensorboard;
pub mod workers;

pub use error::{BoxError, Error};

use std::collections::BTreeMap;

/// Trainable tensors by the name that they have in the checkpoint.
pub type Parameters = BTreeMap<String, candle_core::Var>;
