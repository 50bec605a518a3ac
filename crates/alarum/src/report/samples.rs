//! Every sample of a run as the page shows it: what was asked, what was seen, both answers, what the judge
//! said.

use std::collections::HashMap;

use bench::judge::Judgement;
use bench::run::CategoryNames;
use bench::{Condition, Record};
use safety::{Outcome, SafetyLabel, Sample, Subset, Verdict};
use serde::Serialize;

use super::pictures::{Pictures, Shown};
use super::scores::class;
use super::words;

/// A longer text is folded, with so many characters of it in sight.
const IN_SIGHT: usize = 700;
/// Characters of an id, of a path.
const NAME: usize = 120;

/// Everything that cards are made of.
pub(crate) struct Asked<'a> {
    pub(crate) samples: &'a [Sample],
    pub(crate) taxonomy: &'a [CategoryNames],
    pub(crate) records: &'a [Record],
    pub(crate) judgements: &'a [Judgement],
    pub(crate) conditions: &'a [Condition],
    pub(crate) epochs: u32,
}

/// One sample.
#[derive(Serialize)]
pub(crate) struct Card {
    id: String,
    subset: &'static str,
    meaning: &'static str,
    category_id: String,
    category: String,
    subcategory: String,
    language: &'static str,
    language_name: &'static str,
    query: Text,
    reference: Option<Text>,
    labels: Vec<String>,
    video: Option<String>,
    /// Whether the video is harmful, so that its frames are veiled.
    veiled: bool,
    frames: Vec<Shown>,
    frames_seen: usize,
    epochs: Vec<Epoch>,
    /// Verdicts with the video, for the filter.
    verdicts: Vec<&'static str>,
    /// Changes by the video, for the filter.
    changes: Vec<&'static str>,
}

impl Card {
    /// Whether there are pictures that a reader should choose to see.
    pub(crate) fn hides_frames(&self) -> bool {
        self.veiled && !self.frames.is_empty()
    }
}

/// The answers of one epoch.
#[derive(Serialize)]
pub(crate) struct Epoch {
    number: Option<u32>,
    answers: Vec<Answer>,
}

/// One call of the model.
#[derive(Serialize)]
pub(crate) struct Answer {
    class: &'static str,
    badge: Badge,
    outcome: &'static str,
    text: Option<Text>,
    error: Option<String>,
    why: String,
    /// What the alarm heads said of the question.
    alarm: Option<String>,
    tokens: String,
}

/// A verdict in a word; never by colour alone.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Badge {
    class: &'static str,
    sign: &'static str,
    word: &'static str,
}

/// Foreign text, folded if it is long.
#[derive(Serialize)]
pub(crate) struct Text {
    /// What is in sight: all of a short text.
    start: String,
    /// All of a long text.
    whole: Option<String>,
    characters: usize,
}

/// The key of a call.
type Calls<'a, T> = HashMap<(&'a str, Condition, u32), &'a T>;

/// A card for each sample, in the benchmark's order.
pub(crate) fn cards(asked: &Asked<'_>, pictures: &mut Pictures) -> Vec<Card> {
    let records: Calls<'_, Record> = asked
        .records
        .iter()
        .map(|r| ((r.sample.as_str(), r.condition, r.epoch), r))
        .collect();
    let judgements: Calls<'_, Judgement> = asked
        .judgements
        .iter()
        .map(|j| ((j.sample.as_str(), j.condition, j.epoch), j))
        .collect();
    asked
        .samples
        .iter()
        .map(|sample| card(asked, sample, (&records, &judgements), pictures))
        .collect()
}

fn card(
    asked: &Asked<'_>,
    sample: &Sample,
    (records, judgements): (&Calls<'_, Record>, &Calls<'_, Judgement>),
    pictures: &mut Pictures,
) -> Card {
    let (category, subcategory) = names(asked.taxonomy, sample);
    let key = |condition, epoch| (sample.id.as_str(), condition, epoch);
    let (mut epochs, mut verdicts, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for epoch in 0..asked.epochs {
        let find = |condition: Condition| {
            let call = key(condition, epoch);
            (records.get(&call).copied(), judgements.get(&call).copied())
        };
        let shown = words::ORDER
            .into_iter()
            .filter(|condition| asked.conditions.contains(condition));
        let answers: Vec<Answer> = shown
            .map(|condition| answer(sample, condition, find(condition)))
            .collect();
        if asked.conditions.contains(&Condition::WithVideo) {
            verdicts.push(badge(sample, Condition::WithVideo, find(Condition::WithVideo)).class);
        }
        changes.extend(change(
            find(Condition::WithoutVideo).1,
            find(Condition::WithVideo).1,
        ));
        let number = (asked.epochs > 1).then_some(epoch + 1);
        epochs.push(Epoch { number, answers });
    }
    let seen = (0..asked.epochs)
        .filter_map(|epoch| records.get(&key(Condition::WithVideo, epoch)))
        .find(|record| !record.frames.is_empty());
    let seconds: Vec<f64> = seen
        .iter()
        .flat_map(|record| &record.frames)
        .map(|frame| frame.seconds)
        .collect();
    let frames = match &sample.video {
        Some(video) => pictures.of(&video.sha256, &seconds),
        None => Vec::new(),
    };
    Card {
        id: words::line(&sample.id, NAME),
        subset: sample.subset.name(),
        meaning: words::meaning(&[sample.subset]),
        category_id: words::line(&sample.category, NAME),
        category,
        subcategory,
        language: sample.language.code(),
        language_name: sample.language.name(),
        query: text(&sample.query),
        reference: sample.reference.as_deref().map(text),
        labels: labels(sample),
        video: sample
            .video
            .as_ref()
            .map(|video| words::line(&video.path, NAME)),
        veiled: veiled(sample),
        frames,
        frames_seen: seconds.len(),
        epochs,
        verdicts,
        changes,
    }
}

/// Names of its category and subcategory; ids where the taxonomy does not know them.
fn names(taxonomy: &[CategoryNames], sample: &Sample) -> (String, String) {
    let category = taxonomy
        .iter()
        .find(|category| category.id == sample.category);
    let subcategory = category
        .and_then(|category| {
            category
                .subcategories
                .iter()
                .find(|(id, _)| *id == sample.subcategory)
        })
        .map_or(sample.subcategory.as_str(), |(_, name)| name);
    let category = category.map_or(sample.category.as_str(), |category| &category.name);
    (words::line(category, NAME), words::line(subcategory, NAME))
}

fn labels(sample: &Sample) -> Vec<String> {
    let word = |label: SafetyLabel| match label {
        SafetyLabel::Safe => "safe",
        SafetyLabel::Harmful => "harmful",
    };
    let labels = [
        ("video", sample.labels.visual),
        ("query", sample.labels.textual),
    ];
    labels
        .into_iter()
        .filter_map(|(of, label)| Some(format!("{of} labelled {}", word(label?))))
        .collect()
}

/// A video that is labelled harmful, or has no label in the subset of harmful videos.
fn veiled(sample: &Sample) -> bool {
    match sample.labels.visual {
        Some(label) => label == SafetyLabel::Harmful,
        None => sample.subset == Subset::HH,
    }
}

fn answer(
    sample: &Sample,
    condition: Condition,
    found: (Option<&Record>, Option<&Judgement>),
) -> Answer {
    let badge = badge(sample, condition, found);
    let (record, judgement) = found;
    let Some(record) = record else {
        let why = if condition.fits(sample) {
            "no answer in the journal yet"
        } else {
            "the sample has no video"
        };
        return Answer {
            class: class(condition),
            badge,
            outcome: "not asked",
            text: None,
            error: None,
            why: why.to_owned(),
            alarm: None,
            tokens: String::new(),
        };
    };
    let tokens = format!(
        "{} tokens read, {} written",
        record.prompt_tokens, record.completion_tokens
    );
    let why = judgement.map_or_else(
        || "not judged yet".to_owned(),
        |judgement| words::plain(&judgement.why),
    );
    let error = record.error.as_deref().map(words::plain);
    Answer {
        class: class(condition),
        badge,
        outcome: words::outcome(record.outcome),
        text: record
            .answer
            .as_deref()
            .filter(|answer| !answer.trim().is_empty())
            .map(text),
        why: if error.as_ref() == Some(&why) {
            String::new()
        } else {
            why
        },
        error,
        alarm: words::alarm(record.alarm),
        tokens: if record.outcome == Outcome::Error {
            String::new()
        } else {
            tokens
        },
    }
}

fn badge(
    sample: &Sample,
    condition: Condition,
    (record, judgement): (Option<&Record>, Option<&Judgement>),
) -> Badge {
    let badge = |class, sign, word| Badge { class, sign, word };
    match (record, judgement) {
        (None, _) if condition.fits(sample) => badge("none", "…", "missing"),
        (None, _) => badge("none", "–", "no video"),
        (Some(record), _) if record.outcome == Outcome::Error => badge("error", "!", "error"),
        (
            _,
            Some(Judgement {
                verdict: Some(Verdict::Safe),
                ..
            }),
        ) => badge("safe", "✓", "safe"),
        (
            _,
            Some(Judgement {
                verdict: Some(Verdict::Unsafe),
                ..
            }),
        ) => badge("unsafe", "✗", "unsafe"),
        (
            _,
            Some(Judgement {
                verdict: Some(Verdict::Unreadable),
                ..
            }),
        ) => badge("unreadable", "?", "unreadable"),
        (
            _,
            Some(Judgement {
                declined: Some(true),
                ..
            }),
        ) => badge("declined", "✗", "declined"),
        (
            _,
            Some(Judgement {
                declined: Some(false),
                ..
            }),
        ) => badge("answered", "✓", "answered"),
        (Some(_), _) => badge("unreadable", "?", "not judged"),
    }
}

/// What the video changed, for better or worse.
fn change(without: Option<&Judgement>, with: Option<&Judgement>) -> Option<&'static str> {
    let (without, with) = (without?, with?);
    match (
        without.verdict,
        with.verdict,
        without.declined,
        with.declined,
    ) {
        (Some(Verdict::Safe), Some(Verdict::Unsafe), _, _) => Some("lost"),
        (Some(Verdict::Unsafe), Some(Verdict::Safe), _, _) => Some("gained"),
        (_, _, Some(false), Some(true)) => Some("declined"),
        _ => None,
    }
}

fn text(foreign: &str) -> Text {
    let whole = words::plain(foreign.trim());
    let characters = whole.chars().count();
    if characters <= IN_SIGHT + IN_SIGHT / 4 {
        return Text {
            start: whole,
            whole: None,
            characters,
        };
    }
    Text {
        start: whole.chars().take(IN_SIGHT).chain(['…']).collect(),
        whole: Some(whole),
        characters,
    }
}
