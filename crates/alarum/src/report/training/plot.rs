//! Curves as SVG that stretches to whatever width there is. Lines are drawn in a square of a thousand units a
//! side and keep their thickness; marks and labels are text beside it, placed in per cent.

use serde::Serialize;

use super::curves::{Panel, Scale, Series, Unit, half_window, smoothed};

/// Side of the square.
const SIDE: f64 = 1000.0;
/// Points of a curve at most; more are drawn as the lowest and the highest of each stretch.
const POINTS: usize = 300;
/// Per cent of the height between two labels at least.
const LABEL: f64 = 9.0;

/// A panel as the page shows it.
#[derive(Serialize)]
pub(crate) struct Drawing {
    title: String,
    unit: &'static str,
    meaning: &'static str,
    /// In words, for whoever hears the page.
    description: String,
    /// Curves, without foreign text.
    svg: String,
    ends: Vec<Label>,
    heights: Vec<Mark>,
    steps: Vec<Mark>,
    notes: Vec<String>,
}

/// A mark of an axis.
#[derive(Serialize)]
pub(crate) struct Mark {
    /// Per cent from the left or the top.
    at: f64,
    text: String,
}

/// The name of a curve at its end.
#[derive(Serialize)]
pub(crate) struct Label {
    at: f64,
    class: usize,
    name: String,
    /// The smoothed last value.
    last: String,
}

/// Draws a panel.
pub(crate) fn draw(panel: &Panel) -> Drawing {
    let curves: Vec<Curve> = panel
        .series
        .iter()
        .map(|series| Curve::of(series, panel.scale))
        .collect();
    let frame = Frame::around(&curves, panel.scale);
    let heights = frame.marks(panel.unit);
    let mut svg = String::from(
        "<svg class=\"lines\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
    );
    for mark in &heights {
        let y = mark.at * SIDE / 100.0;
        svg += &format!("<path class=\"mark\" d=\"M0 {y:.1}H1000\"/>");
    }
    for (class, curve) in curves.iter().enumerate() {
        if curve.half > 0 {
            let line = path(&frame, &thinned(curve.points));
            svg += &format!("<path class=\"raw c{class}\" d=\"{line}\"/>");
        }
    }
    for (class, curve) in curves.iter().enumerate() {
        let line = path(&frame, &thinned(&curve.bold));
        svg += &format!("<path class=\"bold c{class}\" d=\"{line}\"/>");
    }
    svg += "</svg>";
    Drawing {
        title: panel.title.clone(),
        unit: panel.unit.name(),
        meaning: panel.meaning,
        description: description(panel, &curves),
        svg,
        ends: labels(panel, &curves, &frame),
        heights,
        steps: frame.steps(),
        notes: notes(&curves, &frame),
    }
}

/// A course without axes, to stand in a line of text; nothing of a single value.
pub(crate) fn spark(points: &[(usize, f64)]) -> String {
    if points.len() < 2 {
        return String::new();
    }
    let curve = Curve {
        points,
        bold: Vec::new(),
        half: 0,
    };
    let line = path(&Frame::around(&[curve], Scale::Linear), &thinned(points));
    format!(
        "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"{line}\"/></svg>"
    )
}

/// A series and what is drawn bold of it.
struct Curve<'a> {
    points: &'a [(usize, f64)],
    bold: Vec<(usize, f64)>,
    /// Steps on either side over which it was smoothed.
    half: usize,
}

impl<'a> Curve<'a> {
    fn of(series: &'a Series, scale: Scale) -> Self {
        let half = match scale {
            Scale::Exact => 0,
            _ => half_window(series.points.len()),
        };
        let values: Vec<f64> = series.points.iter().map(|point| point.1).collect();
        let steps = series.points.iter().map(|point| point.0);
        Self {
            points: &series.points,
            bold: steps.zip(smoothed(&values, half)).collect(),
            half,
        }
    }
}

/// Which values are in sight.
struct Frame {
    first: usize,
    last: usize,
    low: f64,
    high: f64,
    is_log: bool,
}

impl Frame {
    fn around(curves: &[Curve<'_>], scale: Scale) -> Self {
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
    fn height(&self, value: f64) -> f64 {
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
    fn along(&self, step: usize) -> f64 {
        if self.last == self.first {
            return 50.0;
        }
        100.0 * (step - self.first) as f64 / (self.last - self.first) as f64
    }

    fn marks(&self, unit: Unit) -> Vec<Mark> {
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

    fn steps(&self) -> Vec<Mark> {
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

/// At most [`POINTS`] points, or the lowest and the highest of each stretch.
fn thinned(points: &[(usize, f64)]) -> Vec<(usize, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(POINTS / 2);
    let mut thin = Vec::with_capacity(POINTS);
    for stretch in points.chunks(stretch) {
        let by_value = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
        let low = stretch.iter().min_by(by_value).copied();
        let high = stretch.iter().max_by(by_value).copied();
        let mut both: Vec<(usize, f64)> = low.into_iter().chain(high).collect();
        both.sort_unstable_by_key(|point| point.0);
        both.dedup();
        thin.extend(both);
    }
    thin
}

fn path(frame: &Frame, points: &[(usize, f64)]) -> String {
    let place = |(step, value): &(usize, f64)| {
        let scale = SIDE / 100.0;
        format!(
            "{:.1} {:.1}",
            frame.along(*step) * scale,
            frame.height(*value) * scale
        )
    };
    match points {
        [] => String::new(),
        // A line of no length with round ends is a dot.
        [only] => format!("M{0}L{0}", place(only)),
        _ => format!(
            "M{}",
            points.iter().map(place).collect::<Vec<_>>().join("L")
        ),
    }
}

/// Names at the ends of the curves, moved apart where they would touch.
fn labels(panel: &Panel, curves: &[Curve<'_>], frame: &Frame) -> Vec<Label> {
    let ends = curves.iter().zip(&panel.series).enumerate();
    let mut labels: Vec<Label> = ends
        .filter_map(|(class, (curve, series))| {
            let (_, value) = *curve.bold.last()?;
            Some(Label {
                at: frame.height(value).clamp(0.0, 100.0),
                class,
                name: crate::report::words::line(&series.label, 24),
                last: panel.unit.show(value),
            })
        })
        .collect();
    labels.sort_by(|a, b| a.at.total_cmp(&b.at));
    for i in 1..labels.len() {
        labels[i].at = labels[i].at.max(labels[i - 1].at + LABEL);
    }
    let mut limit = 100.0;
    for label in labels.iter_mut().rev() {
        label.at = label.at.min(limit);
        limit = label.at - LABEL;
    }
    labels
}

fn description(panel: &Panel, curves: &[Curve<'_>]) -> String {
    let said = curves
        .iter()
        .zip(&panel.series)
        .filter_map(|(curve, series)| {
            let (first, last) = (curve.bold.first()?, curve.bold.last()?);
            Some(format!(
                "{} from {} at step {} to {} at step {}",
                crate::report::words::line(&series.label, 24),
                panel.unit.show(first.1),
                first.0,
                panel.unit.show(last.1),
                last.0
            ))
        });
    said.collect::<Vec<_>>().join("; ")
}

fn notes(curves: &[Curve<'_>], frame: &Frame) -> Vec<String> {
    let outside = curves
        .iter()
        .flat_map(|curve| curve.points)
        .filter(|point| !(frame.low..=frame.high).contains(&point.1))
        .count();
    let mut notes = Vec::new();
    if outside > 0 {
        let points = crate::report::words::counted(outside, "value");
        notes.push(format!("{points} outside the frame"));
    }
    if frame.is_log {
        notes.push("logarithmic".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn panel(values: &[f64], scale: Scale) -> Panel {
        Panel {
            title: "Loss".to_owned(),
            meaning: "of a step",
            unit: Unit::Number,
            scale,
            series: vec![Series {
                name: "loss".to_owned(),
                label: "loss".to_owned(),
                points: values
                    .iter()
                    .enumerate()
                    .map(|(i, value)| (i + 1, *value))
                    .collect(),
            }],
        }
    }

    fn marks(values: &[f64], scale: Scale) -> Vec<String> {
        let drawing = draw(&panel(values, scale));
        drawing.heights.into_iter().map(|mark| mark.text).collect()
    }

    #[test]
    fn a_small_panel_is_drawn_so() {
        let drawing = draw(&panel(&[4.0, 2.0, 1.0], Scale::Linear));
        insta::assert_json_snapshot!(drawing);
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

    #[test]
    fn one_spike_does_not_flatten_the_rest() {
        let mut values = vec![1.0; 200];
        values[100] = 1e6;
        let drawing = draw(&panel(&values, Scale::Linear));
        assert_eq!(drawing.notes, ["1 value outside the frame"]);
    }

    #[test]
    fn a_single_step_is_a_dot_in_the_middle() {
        assert!(
            draw(&panel(&[2.0], Scale::Linear))
                .svg
                .contains("d=\"M500.0 ")
        );
    }

    #[test]
    fn labels_do_not_touch() {
        let mut both = panel(&[1.0, 1.0, 9.0], Scale::Linear);
        for name in ["a", "b", "c"] {
            both.series.push(Series {
                label: name.to_owned(),
                ..both.series[0].clone()
            });
        }
        let ends = draw(&both).ends;
        assert!(
            ends.windows(2)
                .all(|pair| pair[1].at - pair[0].at >= LABEL - 1e-9)
        );
        assert!(ends.iter().all(|end| (-0.1..=100.0).contains(&end.at)));
    }

    #[test]
    fn a_long_curve_keeps_its_spikes_and_few_points() {
        let mut points: Vec<(usize, f64)> = (1..=10_000).map(|step| (step, 1.0)).collect();
        points[7_777].1 = 50.0;
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS, "{}", thin.len());
        assert!(thin.contains(&(7_778, 50.0)));
    }

    proptest! {
        #[test]
        fn any_numbers_can_be_drawn(values in prop::collection::vec(-1e30f64..1e30, 0..40), log: bool) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let drawing = draw(&panel(&values, scale));
            prop_assert!(!drawing.svg.contains("NaN") && !drawing.svg.contains("inf"));
            prop_assert!(drawing.heights.len() < 12, "{} marks", drawing.heights.len());
        }
    }
}
