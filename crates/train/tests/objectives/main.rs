//! Losses, advantages and rewards agree with PyTorch and with the formulas restated in Python.
//! The files are from `fixtures/train_objectives.py`.

#[cfg(test)]
mod advantages;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod rewards;
