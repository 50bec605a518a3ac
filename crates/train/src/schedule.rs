//! How the learning rate changes over a run: a factor in `0..=1` for each step.
//!
//! The formulas of `transformers` (`optimization.py`: `get_cosine_schedule_with_warmup` and
//! `get_constant_schedule_with_warmup`), to which a golden test holds them.

use serde::{Deserialize, Serialize};

/// What follows the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Half a cosine from 1 to 0.
    #[default]
    Cosine,
    /// 1 to the end.
    Constant,
}

/// Linear warm-up over `warmup` of `total` optimizer steps, then `shape`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What follows the warm-up.
    pub shape: Shape,
    /// Steps of warm-up; 0 starts at the full rate.
    pub warmup: usize,
    /// Steps of the whole run.
    pub total: usize,
}

impl Schedule {
    /// What to multiply learning rates by at the step before which `done` steps were taken. With a
    /// warm-up the first step's factor is 0, as in the reference.
    pub fn factor(&self, done: usize) -> f64 {
        if done < self.warmup {
            return done as f64 / self.warmup as f64;
        }
        match self.shape {
            Shape::Constant => 1.0,
            Shape::Cosine => {
                let left = self.total.saturating_sub(self.warmup).max(1);
                let progress = (done - self.warmup) as f64 / left as f64;
                (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
            }
        }
    }
}
