//! Whole stages and chains of them on the tiny checkpoint.

#[cfg(test)]
mod chain;
#[cfg(test)]
mod grpo;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod world;
