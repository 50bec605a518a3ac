//! The report of a training run or of a chain of them: what was written down ([`stage`]), the curves that
//! it makes ([`curves`], drawn by [`plot`] beside [`axis`]), what looks wrong ([`warnings`]), what the model wrote on the way
//! ([`completions`], [`diff`]), as text ([`terminal`]) and as one HTML file ([`page`]).

mod axis;
mod completions;
mod curves;
mod diff;
pub(crate) mod page;
mod plot;
pub(crate) mod stage;
pub(crate) mod terminal;
mod warnings;

#[cfg(test)]
mod world;

pub(crate) use stage::Stage;
