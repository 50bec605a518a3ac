//! The report of a run, as people read it: its numbers in words ([`words`]), the table of the terminal
//! ([`terminal`]), and one HTML file ([`html`]) made of scores ([`scores`]), drawn ([`chart`]), and of every
//! sample ([`samples`]) with what the model saw ([`pictures`]). A training run has a report of its own
//! ([`training`]), which looks the same; [`numbers`] writes its quantities.
//!
//! Everything that a model, a benchmark or a judge wrote is hostile text here ([`foreign`]).

mod chart;
mod foreign;
pub(crate) mod html;
pub(crate) mod numbers;
mod pictures;
mod samples;
mod scores;
pub(crate) mod terminal;
pub(crate) mod training;
mod words;

/// The look of both pages.
const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod world;
