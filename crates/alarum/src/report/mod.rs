//! The report of a run, as people read it: its numbers in words ([`words`]), the table of the terminal
//! ([`terminal`]), and one HTML file ([`html`]) made of scores ([`scores`]), drawn ([`chart`]), and of every
//! sample ([`samples`]) with what the model saw ([`pictures`]).
//!
//! Everything that a model, a benchmark or a judge wrote is hostile text here ([`foreign`]).

mod chart;
mod foreign;
pub(crate) mod html;
mod pictures;
mod samples;
mod scores;
pub(crate) mod terminal;
mod words;

#[cfg(test)]
mod world;
