//! The report of a run, as people read it: its numbers in words ([`words`]), the table of the terminal
//! ([`terminal`]) and one HTML file ([`html`]).
//!
//! Everything that a model, a benchmark or a judge wrote is hostile text here.

pub(crate) mod html;
pub(crate) mod terminal;
mod words;
