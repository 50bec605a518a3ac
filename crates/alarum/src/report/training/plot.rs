//! Curves as SVG that stretches to whatever width there is. Lines are drawn in a square of a thousand units a
//! side and keep their thickness; marks and labels are text beside it, placed in per cent.

use serde::Serialize;

use super::axis::{Frame, Mark};
use super::curves::{Panel, Scale, Series, half_window, smoothed};

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
pub(super) struct Curve<'a> {
    pub(super) points: &'a [(usize, f64)],
    pub(super) bold: Vec<(usize, f64)>,
    /// Steps on either side over which it was smoothed.
    half: usize,
}

impl<'a> Curve<'a> {
    pub(super) fn of(series: &'a Series, scale: Scale) -> Self {
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
    use crate::report::training::curves::Unit;

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

    #[test]
    fn a_small_panel_is_drawn_so() {
        let drawing = draw(&panel(&[4.0, 2.0, 1.0], Scale::Linear));
        insta::assert_json_snapshot!(drawing);
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
