//! Training a whole tiny VideoLLaMA3.

#[cfg(test)]
mod examples;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod sft;
#[cfg(test)]
mod tiny;
