//! The alarm heads' scores against the labels of the samples.

use std::collections::HashMap;

use safety::auroc::{Scored as Item, auroc, clustered_interval};
use safety::interval::Bootstrap;
use safety::{SafetyLabel, Sample};

use super::Scored;
use super::trials::cluster;
use crate::Condition;
use crate::results::{Alarm, Detection, Estimate};

/// What the heads are worth; nothing if no answer has their scores.
pub(super) fn alarm(scored: &Scored<'_>) -> Option<Alarm> {
    if scored.records.iter().all(|record| record.alarm.is_none()) {
        return None;
    }
    let (visual, (textual_with_video, textual_without_video)) = rayon::join(
        || detection(scored, Condition::WithVideo, Modality::Visual),
        || {
            rayon::join(
                || detection(scored, Condition::WithVideo, Modality::Textual),
                || detection(scored, Condition::WithoutVideo, Modality::Textual),
            )
        },
    );
    Some(Alarm {
        visual,
        textual_with_video,
        textual_without_video,
    })
}

#[derive(Clone, Copy)]
enum Modality {
    Visual,
    Textual,
}

impl Modality {
    fn label(self, sample: &Sample) -> Option<SafetyLabel> {
        match self {
            Self::Visual => sample.labels.visual,
            Self::Textual => sample.labels.textual,
        }
    }
}

/// One head over the samples that the run asked in `condition`.
fn detection(scored: &Scored<'_>, condition: Condition, modality: Modality) -> Detection {
    let mut sums: HashMap<&str, (f64, u32)> = HashMap::new();
    for record in scored.records.iter().filter(|r| r.condition == condition) {
        let score = record.alarm.and_then(|alarm| match modality {
            Modality::Visual => alarm.visual,
            Modality::Textual => Some(alarm.textual),
        });
        if let Some(score) = score {
            let (sum, count) = sums.entry(&record.sample).or_default();
            *sum += f64::from(score);
            *count += 1;
        }
    }
    let is_asked = scored.settings.conditions.contains(&condition);
    let asked = scored
        .samples
        .iter()
        .filter(|sample| is_asked && condition.fits(sample));
    let (mut items, mut unlabelled, mut unscored) = (Vec::new(), 0, 0);
    for sample in asked {
        match (sums.get(sample.id.as_str()), modality.label(sample)) {
            (None, _) => unscored += 1,
            (Some(_), None) => unlabelled += 1,
            (Some((sum, count)), Some(label)) => {
                let score = sum / f64::from(*count);
                items.push((cluster(sample), Item { score, label }));
            }
        }
    }
    let all: Vec<Item> = items.iter().map(|(_, item)| *item).collect();
    let of = |label| all.iter().filter(|item| item.label == label).count() as u64;
    Detection {
        auroc: Estimate {
            value: auroc(&all),
            bootstrap: clustered_interval(items, Bootstrap::default()),
        },
        harmful: of(SafetyLabel::Harmful),
        safe: of(SafetyLabel::Safe),
        unlabelled,
        unscored,
    }
}
