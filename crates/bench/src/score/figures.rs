//! Trials become figures: a share, a difference, and how sure both are.

use safety::Subset;
use safety::interval::{Bootstrap, Z_95, wilson};
use safety::rates::{Conditions, Rate, is_safe};

use super::trials::{Asked, Trials};
use crate::judge::Judgement;
use crate::results::{Compared, Defence, Estimate, Figure};

/// A trial of the defence: nothing was judged where nothing was said.
pub(super) fn defended(judgement: &Judgement) -> Option<bool> {
    judgement.verdict.and_then(is_safe)
}

/// The share of trials that answer `asked` with yes, in both conditions.
pub(super) fn compared(trials: &Trials<'_>, asked: Asked<'_>) -> Compared {
    let videos = trials.by_video(asked);
    let figure = |of| figure(&videos, trials.epochs, of);
    Compared {
        with_video: figure(|conditions| conditions.with_video),
        without_video: figure(|conditions| conditions.without_video),
    }
}

/// The defence of some subsets.
pub(super) fn defence(trials: &Trials<'_>, subsets: &[Subset]) -> Defence {
    let chosen = trials.only(|sample| subsets.contains(&sample.subset));
    let videos = chosen.by_video(&defended);
    let total = total(&videos);
    let estimate = |of: fn(&Conditions) -> Option<f64>| Estimate {
        value: of(&total),
        bootstrap: Bootstrap::default().interval(&videos, of),
    };
    Defence {
        subsets: subsets.to_vec(),
        rates: compared(&chosen, &defended),
        relative_drop: estimate(|conditions| conditions.relative_drop()),
        absolute_drop: estimate(|conditions| conditions.absolute_drop()),
        mcnemar: chosen.pairs(&defended).mcnemar(),
    }
}

fn figure(videos: &[Conditions], epochs: u32, of: fn(&Conditions) -> Rate) -> Figure {
    let rate = of(&total(videos));
    // Only videos that say something about this rate are resampled.
    let counted: Vec<Conditions> = videos
        .iter()
        .filter(|conditions| of(conditions) != Rate::default())
        .copied()
        .collect();
    // Epochs repeat the same samples: the interval is that of `total / epochs` trials, which is the
    // one of `total` trials at a quantile larger by the root of `epochs`.
    let z = Z_95 * f64::from(epochs.max(1)).sqrt();
    Figure {
        rate,
        value: rate.value(),
        wilson: wilson(rate, z),
        bootstrap: Bootstrap::default().interval(&counted, |sum| of(sum).value()),
    }
}

fn total(videos: &[Conditions]) -> Conditions {
    let mut total = Conditions::default();
    for conditions in videos {
        total += conditions;
    }
    total
}
