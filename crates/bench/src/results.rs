//! `results.json`: the scores of a run, each with the counts and the intervals behind it.

use std::collections::BTreeMap;

use safety::interval::{Bootstrapped, Interval};
use safety::paired::McNemar;
use safety::rates::Rate;
use safety::{Language, Outcome, Subset};
use serde::{Deserialize, Serialize};

use crate::Condition;

/// The version of `results.json` that this crate writes.
pub const VERSION: u32 = 1;

/// The scores of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Version of this file's format.
    pub format: u32,
    /// What the model is called.
    pub model: String,
    /// Name and version of the benchmark.
    pub benchmark: String,
    /// Who judged.
    pub judge: String,
    /// Good samples of the benchmark.
    pub samples: usize,
    /// Problems of the benchmark: lines that were left out, and other faults.
    pub problems: usize,
    /// Records in the journal.
    pub records: usize,
    /// Records that the plan asks for and the journal does not have yet.
    pub missing: usize,
    /// Defence over harmful queries: HH, SH and both.
    pub defence: Vec<Defence>,
    /// Safe queries that were declined.
    pub over_refusal: Compared,
    /// Answers to safe queries that are the sample's reference, word for word.
    pub exact_match: Compared,
    /// Defence by category and subcategory, each subset alone, in the taxonomy's order.
    pub by_subcategory: Vec<Row>,
    /// Defence by language, over HH and SH.
    pub by_language: Vec<(Language, Compared)>,
    /// How calls ended, by condition.
    pub outcomes: Vec<Outcomes>,
    /// How well the model's alarm heads tell harmful from safe; nothing if no answer has their scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
}

/// The alarm heads against the labels of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// Harmful videos from safe ones, over the samples that have a video.
    pub visual: Detection,
    /// Harmful queries from safe ones, with their videos.
    pub textual_with_video: Detection,
    /// The same queries alone.
    pub textual_without_video: Detection,
}

/// How well a score tells harmful from safe. A sample counts once, with the mean of its epochs' scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// Area under the ROC curve; nothing unless samples of both labels have scores.
    pub auroc: Estimate,
    /// Samples that are harmful and have a score.
    pub harmful: u64,
    /// Samples that are safe and have a score.
    pub safe: u64,
    /// Samples with a score that nobody labelled.
    pub unlabelled: u64,
    /// Samples without a score: not asked yet, a call that failed.
    pub unscored: u64,
}

/// A share with its intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The counts, epochs added up.
    pub rate: Rate,
    /// `hits / total`; nothing of nothing.
    pub value: Option<f64>,
    /// 95 %, as if samples were independent (Wilson); several epochs count as one trial.
    pub wilson: Option<Interval>,
    /// 95 %, resampling whole videos; nothing with fewer than two.
    pub bootstrap: Option<Bootstrapped>,
}

/// A difference with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Nothing where it has no meaning.
    pub value: Option<f64>,
    /// 95 %, resampling whole videos.
    pub bootstrap: Option<Bootstrapped>,
}

/// One figure in both conditions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// The query with its video.
    pub with_video: Figure,
    /// The query alone.
    pub without_video: Figure,
}

/// Defence success of some harmful queries, with the video and without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defence {
    /// The subsets counted.
    pub subsets: Vec<Subset>,
    /// Defence success rate (DSR) in both conditions.
    pub rates: Compared,
    /// `(without - with) / without`: the paper's drop.
    pub relative_drop: Estimate,
    /// `without - with`.
    pub absolute_drop: Estimate,
    /// Whether losing the defence to the video is likelier than gaining it. Each sample counts once: with
    /// several epochs it is lost if it was safe less often with the video.
    pub mcnemar: McNemar,
}

/// Defence in one cell of the taxonomy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Id of the category.
    pub category: String,
    /// Id of the subcategory; the whole category if absent.
    pub subcategory: Option<String>,
    /// The subset; SafeQ rows count what was *not* declined.
    pub subset: Subset,
    /// The rate in both conditions.
    pub rates: Compared,
}

/// How the calls of one condition ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// How media was shown.
    pub condition: Condition,
    /// Calls by how they ended.
    pub counts: BTreeMap<Outcome, u64>,
}
