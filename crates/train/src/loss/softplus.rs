//! `ln(1 + eˣ)`: what logistic losses are made of.

use candle_core::{Result, Tensor};

/// Of each element, in its own type. Neither overflows nor loses its slope, which is the sigmoid,
/// also at 0: candle's own slopes of `relu` and `abs` are one-sided there, and heads start at 0.
pub(super) fn softplus(x: &Tensor) -> Result<Tensor> {
    // ln(e⁰ + eˣ) with the larger exponent taken out, as a constant of the tape.
    let largest = x.detach().relu()?;
    let sum = (largest.neg()?.exp()? + (x - &largest)?.exp()?)?;
    largest + sum.log()?
}
