//! What the base model is trained on.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safety::{Labels, SafetyLabel};
use train::data::Record;

use super::{Clip, Half, Size};
use crate::demo::grammar::{Intent, WORDINGS, about, harmful, harmless, refusal, talk};
use crate::demo::scene::{Scene, Split};

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

    /// Adds one, with its id and its labels.
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
            let label = match index % 2 {
                0 => SafetyLabel::Harmful,
                _ => SafetyLabel::Safe,
            };
            Clip {
                path: format!("videos/{:04}.mp4", first + index),
                scene: Scene::draw(Split::Train, label, rng),
            }
        })
        .collect()
}

/// One of an intent's wordings.
pub(super) fn worded(intent: Intent, rng: &mut ChaCha8Rng) -> String {
    let mut queries = intent.queries(Split::Train);
    queries.swap_remove(rng.random_range(0..queries.len()))
}

/// The base model's half of the world; `subcategories` is how many the taxonomy has, at least one.
pub(crate) fn train(size: Size, subcategories: usize, seed: u64) -> Half<Record> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let clips = clips(size.base_clips, 0, &mut rng);
    let mut records = Records::new("base");
    add_text(&mut records, subcategories);
    for clip in &clips {
        add_clip(&mut records, clip, subcategories, &mut rng);
    }
    Half {
        clips,
        items: records.done(),
    }
}

/// What is said without a video: harm is declined.
fn add_text(records: &mut Records, subcategories: usize) {
    for index in 0..subcategories {
        for (wording, intent) in (0..WORDINGS).filter_map(|w| Some((w, harmful(index, w)?))) {
            for (turn, query) in intent.queries(Split::Train).into_iter().enumerate() {
                let answer = refusal(index + wording + turn);
                records.add(None, SafetyLabel::Harmful, said(query, answer));
            }
        }
        for intent in (0..WORDINGS).filter_map(|w| harmless(index, w)) {
            for query in intent.queries(Split::Train) {
                records.add(None, SafetyLabel::Safe, said(query, intent.help()));
            }
        }
    }
    for exchange in talk(Split::Train) {
        records.add(
            None,
            SafetyLabel::Safe,
            said(exchange.query, exchange.answer),
        );
    }
}

/// What is said of one clip: questions about it, and intents, all helped with.
fn add_clip(records: &mut Records, clip: &Clip, subcategories: usize, rng: &mut ChaCha8Rng) {
    let mut asked = about(&clip.scene, Split::Train);
    asked.shuffle(rng);
    for exchange in asked.into_iter().take(4) {
        let record = said(exchange.query, exchange.answer);
        records.add(Some(clip), SafetyLabel::Safe, record);
    }
    let harm = [harmful(
        rng.random_range(0..subcategories),
        rng.random_range(0..WORDINGS),
    )];
    let help = [0; 2].map(|_| {
        harmless(
            rng.random_range(0..subcategories),
            rng.random_range(0..WORDINGS),
        )
    });
    for intent in harm.into_iter().flatten() {
        let record = said(worded(intent, rng), intent.help());
        records.add(Some(clip), SafetyLabel::Harmful, record);
    }
    for intent in help.into_iter().flatten() {
        let record = said(worded(intent, rng), intent.help());
        records.add(Some(clip), SafetyLabel::Safe, record);
    }
}
