//! Bars as SVG. Lengths are in per cent of whatever width there is, so that a bar fits a phone and a page;
//! its label is text beside it.

use bench::Condition;
use bench::results::Figure;
use safety::interval::Interval;

use super::words::{percent, percents};

/// Height of a bar's picture in pixels; what is drawn is centred in it.
const HEIGHT: u32 = 22;
/// Steps of the scale in a heat map.
const STEPS: usize = 10;

/// A share as a bar, with a whisker for its 95 % interval.
pub(crate) fn bar(figure: &Figure, condition: Condition) -> String {
    let class = match condition {
        Condition::WithVideo => "with",
        Condition::WithoutVideo => "without",
    };
    let label = match figure.value {
        None => "no value".to_owned(),
        share => format!(
            "{}, 95 % interval {}",
            percent(share),
            percents(figure.wilson)
        ),
    };
    let mut svg = format!(
        "<svg class=\"bar {class}\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{label}\">\
         <rect class=\"track\" y=\"4\" width=\"100%\" height=\"14\" rx=\"2\"/>"
    );
    if let Some(share) = figure.value {
        svg += &format!(
            "<rect class=\"share\" y=\"4\" width=\"{}\" height=\"14\" rx=\"2\"/>",
            along(share)
        );
    }
    for quarter in [0.25, 0.5, 0.75] {
        svg += &line("grid", (quarter, 4), (quarter, 18));
    }
    if let (Some(_), Some(interval)) = (figure.value, figure.wilson) {
        svg += &whisker(interval);
    }
    svg + "</svg>"
}

fn whisker(Interval { low, high }: Interval) -> String {
    // Drawn twice: a pale line under the dark one parts it from the bar.
    ["halo", "whisker"]
        .map(|class| {
            line(class, (low, 11), (high, 11))
                + &line(class, (low, 7), (low, 15))
                + &line(class, (high, 7), (high, 15))
        })
        .concat()
}

fn line(class: &str, from: (f64, u32), to: (f64, u32)) -> String {
    let ((x1, y1), (x2, y2)) = ((along(from.0), from.1), (along(to.0), to.1));
    format!("<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>")
}

/// The step of a share on the scale of a heat map: 0 is worst, 9 best.
pub(crate) fn step(share: f64) -> usize {
    ((share * STEPS as f64) as usize).min(STEPS - 1)
}

/// A share as a length.
fn along(share: f64) -> String {
    format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use safety::Rate;
    use safety::interval::{Z_95, wilson};

    use super::*;

    fn figure(hits: u64, total: u64) -> Figure {
        let rate = Rate {
            hits,
            total,
            unreadable: 0,
        };
        Figure {
            rate,
            value: rate.value(),
            wilson: wilson(rate, Z_95),
            bootstrap: None,
        }
    }

    #[test]
    fn a_bar_has_its_length_its_whisker_and_its_words() {
        insta::assert_snapshot!(bar(&figure(7, 40), Condition::WithVideo).replace('>', ">\n"));
    }

    #[test]
    fn a_bar_of_nothing_is_an_empty_track() {
        insta::assert_snapshot!(bar(&figure(0, 0), Condition::WithoutVideo).replace('>', ">\n"));
    }

    #[test]
    fn the_scale_has_ten_steps() {
        assert_eq!(
            [0.0, 0.099, 0.1, 0.55, 0.999, 1.0].map(step),
            [0, 0, 1, 5, 9, 9]
        );
    }
}
