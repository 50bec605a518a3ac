//! What the base model is trained on.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safety::{Labels, SafetyLabel};
use train::data::{Record, Turn};

use super::{Clip, Half, Size};
use crate::demo::grammar::{
    Exchange, HARMFUL, HARMLESS, Intent, Topic, harmful, harmless, refusal, talk,
};
use crate::demo::lexicon::CRAFTS;
use crate::demo::scene::{Hazard, Scene, Split};

/// The records of one file so far.
pub(super) struct Records {
    name: &'static str,
    all: Vec<Record>,
}

impl Records {
    /// Whose ids begin with `name`.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            all: Vec::new(),
        }
    }

    /// Adds one, with its id, its clip and its labels.
    pub(super) fn add(&mut self, clip: Option<&Clip>, textual: SafetyLabel, record: Record) {
        self.all.push(Record {
            id: format!("{}-{:05}", self.name, self.all.len()),
            video: clip.map(|clip| clip.path.clone().into()),
            labels: Labels {
                visual: clip.map(|clip| clip.scene.label()),
                textual: Some(textual),
            },
            ..record
        });
    }

    pub(super) fn done(self) -> Vec<Record> {
        self.all
    }
}

/// A question with its answer, and nothing else yet.
pub(super) fn said(query: String, answer: impl Into<String>) -> Record {
    Record {
        query,
        answer: answer.into(),
        ..Record::default()
    }
}

/// Clips of scenes, every other one with a hazard; their numbers begin at `first`.
pub(super) fn clips(count: usize, first: usize, rng: &mut ChaCha8Rng) -> Vec<Clip> {
    (0..count)
        .map(|index| {
            let hazard = (index % 2 == 0).then(|| Hazard::ALL[index / 2 % Hazard::ALL.len()]);
            Clip {
                path: format!("videos/{:04}.mp4", first + index),
                scene: Scene::draw(Split::Train, hazard, rng),
            }
        })
        .collect()
}

/// One of an intent's wordings.
pub(super) fn worded(intent: Intent, rng: &mut ChaCha8Rng) -> String {
    one_of(intent.queries(Split::Train), rng).expect("every intent can be asked for")
}

/// One of several, none of none.
pub(super) fn one_of<T>(mut from: Vec<T>, rng: &mut ChaCha8Rng) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(rng.random_range(0..from.len())))
}

/// The base model's half of the world; `subcategories` is how many the taxonomy has, at least one.
pub(crate) fn train(size: Size, subcategories: usize, seed: u64) -> Half<Record> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let clips = clips(size.base_clips, 0, &mut rng);
    let mut records = Records::new("base");
    add_text(&mut records, subcategories);
    for clip in &clips {
        for topics in VIEWS {
            add_view(&mut records, clip, &topics, subcategories, &mut rng);
        }
    }
    Half {
        clips,
        items: records.done(),
    }
}

/// What is said without a video: harm is declined.
fn add_text(records: &mut Records, subcategories: usize) {
    for (index, wording) in every(subcategories, HARMFUL) {
        let Some(intent) = harmful(index, wording) else {
            continue;
        };
        for (turn, query) in intent.queries(Split::Train).into_iter().enumerate() {
            let answer = refusal(index + wording + turn);
            records.add(None, SafetyLabel::Harmful, said(query, answer));
        }
    }
    for (index, wording) in every(CRAFTS.len(), HARMLESS) {
        let intent = harmless(index, wording);
        for query in intent.queries(Split::Train) {
            records.add(None, SafetyLabel::Safe, said(query, intent.help()));
        }
    }
    for exchange in talk(Split::Train) {
        let record = said(exchange.query, exchange.answer);
        records.add(None, SafetyLabel::Safe, record);
    }
}

fn every(indices: usize, wordings: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..indices).flat_map(move |index| (0..wordings).map(move |wording| (index, wording)))
}

/// What is asked in one conversation about a clip, so that no answer is copied from another.
const VIEWS: [&[Topic]; 3] = [
    &[Topic::Everything, Topic::Count],
    &[Topic::Hazard, Topic::Colour, Topic::Ground],
    &[Topic::Shape, Topic::Motion, Topic::Count],
];

/// One conversation about a clip: what is seen, a harmful intent and harmless ones, all helped with.
fn add_view(
    records: &mut Records,
    clip: &Clip,
    topics: &[Topic],
    subcategories: usize,
    rng: &mut ChaCha8Rng,
) {
    let harm = harmful(
        rng.random_range(0..subcategories),
        rng.random_range(0..HARMFUL),
    );
    let help = harmless(
        rng.random_range(0..CRAFTS.len()),
        rng.random_range(0..HARMLESS),
    );
    let asked = |intent: Intent, textual, rng: &mut ChaCha8Rng| {
        let exchange = Exchange {
            query: worded(intent, rng),
            answer: intent.help(),
        };
        (textual, exchange)
    };
    let mut exchanges: Vec<(SafetyLabel, Exchange)> = Vec::new();
    exchanges.extend(harm.map(|intent| asked(intent, SafetyLabel::Harmful, rng)));
    exchanges.push(asked(help, SafetyLabel::Safe, rng));
    for topic in topics {
        let exchange = one_of(topic.exchanges(&clip.scene, Split::Train), rng);
        exchanges.extend(exchange.map(|exchange| (SafetyLabel::Safe, exchange)));
    }
    exchanges.shuffle(rng);
    let mut exchanges = exchanges.into_iter();
    let Some((textual, first)) = exchanges.next() else {
        return;
    };
    let turns = exchanges.map(|(_, Exchange { query, answer })| Turn { query, answer });
    let record = Record {
        turns: turns.collect(),
        ..said(first.query, first.answer)
    };
    records.add(Some(clip), textual, record);
}
