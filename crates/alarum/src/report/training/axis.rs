//! Which steps and values a panel shows, and the marks beside them.

use serde::Serialize;

use super::curves::{Scale, Unit};
use super::plot::Curve;

/// A mark of an axis.
#[derive(Serialize)]
pub(crate) struct Mark {
    /// Per cent from the left or the top.
    pub(super) at: f64,
    pub(super) text: String,
}

/// Which values are in sight.
pub(super) struct Frame {
    first: usize,
    last: usize,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) is_log: bool,
}

impl Frame {
    pub(super) fn around(curves: &[Curve<'_>], scale: Scale) -> Self {
        let steps = || {
            curves
                .iter()
                .flat_map(|curve| curve.points.iter().map(|point| point.0))
        };
        let (first, last) = (steps().min().unwrap_or(0), steps().max().unwrap_or(0));
        let mut values: Vec<f64> = curves
            .iter()
            .flat_map(|curve| {
                within(curve.points)
                    .into_iter()
                    .chain(curve.bold.iter().map(|point| point.1))
            })
            .collect();
        values.sort_unstable_by(f64::total_cmp);
        let (mut low, mut high) = match values[..] {
            [] => (0.0, 1.0),
            [low, .., high] => (low, high),
            [only] => (only, only),
        };
        let is_log = scale == Scale::Log && low > 0.0 && high / low > 30.0;
        match scale {
            Scale::Whole => (low, high) = (low.min(0.0), high.max(1.0)),
            // Nought is in sight where it is not far.
            _ if !is_log && low > 0.0 && low < 0.5 * high => low = 0.0,
            _ if !is_log && high < 0.0 && high > 0.5 * low => high = 0.0,
            _ => {}
        }
        if is_log {
            (low, high) = (low / 1.15, high * 1.15);
        } else if scale != Scale::Whole {
            let room = if high > low {
                (high - low) * 0.04
            } else {
                high.abs().max(1e-9) * 0.5
            };
            if low != 0.0 {
                low -= room;
            }
            if high != 0.0 || low == 0.0 {
                high += room;
            }
        }
        Self {
            first,
            last,
            low,
            high,
            is_log,
        }
    }

    /// Per cent from the top.
    pub(super) fn height(&self, value: f64) -> f64 {
        let share = if self.is_log {
            let value = value.max(self.low / 10.0);
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // A spike outside is drawn to just beyond the edge.
        100.0 * (1.0 - share.clamp(-0.1, 1.1))
    }

    /// Per cent from the left; a single step stands in the middle.
    pub(super) fn along(&self, step: usize) -> f64 {
        if self.last == self.first {
            return 50.0;
        }
        100.0 * (step - self.first) as f64 / (self.last - self.first) as f64
    }

    /// Marks of the values.
    pub(super) fn marks(&self, unit: Unit) -> Vec<Mark> {
        let mark = |value: f64, step: f64| Mark {
            at: self.height(value),
            text: unit.mark(value, step),
        };
        if !self.is_log {
            let step = nice((self.high - self.low) / 6.0);
            return multiples(self.low, self.high, step)
                .map(|value| mark(value, step))
                .collect();
        }
        let (from, to) = (
            self.low.log10().floor() as i32,
            self.high.log10().ceil() as i32,
        );
        let every = ((to - from) / 5).max(1);
        let few = self.high / self.low < 3000.0;
        (from..=to)
            .filter(|power| (power - from) % every == 0)
            .flat_map(|power| {
                let of: &[f64] = if few { &[1.0, 3.0] } else { &[1.0] };
                of.iter().map(move |times| times * 10f64.powi(power))
            })
            .filter(|value| (self.low..=self.high).contains(value))
            .map(|value| mark(value, value))
            .collect()
    }

    /// Marks of the steps.
    pub(super) fn steps(&self) -> Vec<Mark> {
        let step = nice((self.last - self.first) as f64 / 4.0).max(1.0);
        multiples(self.first as f64, self.last as f64, step)
            .map(|value| Mark {
                at: self.along(value as usize),
                text: Unit::Number.mark(value, step),
            })
            .collect()
    }
}

/// The values that a frame must show: all of a short curve, of a long one all but the hundredth at either
/// end, so that one spike does not flatten the rest.
fn within(points: &[(usize, f64)]) -> Vec<f64> {
    let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
    values.sort_unstable_by(f64::total_cmp);
    let cut = if values.len() >= 100 {
        values.len() / 100
    } else {
        0
    };
    values[cut..values.len() - cut].to_vec()
}

/// 1, 2 or 5 times a power of ten, `rough` or a little more.
fn nice(rough: f64) -> f64 {
    if rough <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let times = rough / power;
    power
        * [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|nice| times <= *nice * 1.000_001)
            .unwrap_or(10.0)
}

fn multiples(low: f64, high: f64, step: f64) -> impl Iterator<Item = f64> {
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(move |times| times as f64 * step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::training::curves::Series;

    fn marks(values: &[f64], scale: Scale) -> Vec<String> {
        let points = (1..).zip(values.iter().copied()).collect();
        let series = Series {
            name: String::new(),
            label: String::new(),
            points,
        };
        let frame = Frame::around(&[Curve::of(&series, scale)], scale);
        frame
            .marks(Unit::Number)
            .into_iter()
            .map(|mark| mark.text)
            .collect()
    }

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!(marks(&[0.3, 6.9], Scale::Linear), ["0", "2", "4", "6"]);
        assert_eq!(
            marks(&[0.31, 0.33], Scale::Linear),
            ["0.310", "0.315", "0.320", "0.325", "0.330"]
        );
        assert_eq!(
            marks(&[0.4], Scale::Whole),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            marks(&[0.02, 5.0], Scale::Log),
            ["0.03", "0.1", "0.3", "1", "3"]
        );
        assert_eq!(
            marks(&[-0.4, 0.4], Scale::Linear),
            ["−0.4", "−0.2", "0", "0.2", "0.4"]
        );
    }
}
