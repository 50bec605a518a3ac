//! The training loop on a toy model.

#[cfg(test)]
mod resume;
#[cfg(test)]
mod step;
#[cfg(test)]
mod toy;
