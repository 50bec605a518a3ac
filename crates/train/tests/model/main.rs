//! Training a whole tiny VideoLLaMA3.

#[cfg(test)]
#[cfg(test)]
mod losses;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod sft;
#[cfg(test)]
mod tiny;
