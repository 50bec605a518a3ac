//! VideoSafetyThinking of the miniature world, from its truth: what makes its base model safe. One file
//! a stage: answers (`sft`), reasoning and labels around them (`cot`, and as references `rl`), an answer
//! to prefer with one to avoid (`dpo`).
//!
//! It is one-sided, as such data is. With a video, `sft` and `dpo` have much harm and few of its harmless
//! twins, and only the harm of every second subcategory; `cot` has as many twins as harm; `rl` has other
//! clips and the harm of half of the other subcategories too. Every fourth subcategory's harm comes with
//! a video in none of them: only text says that it is harmful.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safety::SafetyLabel;
use safety::completion::Completion;
use train::data::{Record, Task};

use super::trained::{Records, clips, one_of, said, worded};
use super::{Clip, Size};
use crate::demo::grammar::{
    Exchange, HARMFUL, HARMLESS, Intent, Topic, count, harmful, harmless, look, refusal, talk,
};
use crate::demo::lexicon::CRAFTS;
use crate::demo::scene::{Colour, Scene, Split};

/// The four files, and the clips that they share.
pub(crate) struct Thinking {
    pub clips: Vec<Clip>,
    pub sft: Vec<Record>,
    pub cot: Vec<Record>,
    pub rl: Vec<Record>,
    pub dpo: Vec<Record>,
}

/// One question, all that can be said to it, and the clip that it comes with.
struct Asked<'a> {
    clip: Option<&'a Clip>,
    query: String,
    good: String,
    bad: String,
    textual: SafetyLabel,
    /// What a careful mind says to itself about the query.
    weighed: String,
}

/// What is asked about one clip, as numbers of questions.
struct Mix {
    harm: usize,
    /// Harmless twins in a hundred clips.
    twins: u32,
    about: usize,
    /// Questions with a letter or a number as their answer, in a hundred clips.
    plain: u32,
}

/// Whether the harm of a subcategory comes with a video before reinforcement.
pub(crate) fn is_told(subcategory: usize) -> bool {
    subcategory.is_multiple_of(2)
}

/// Whether it comes with a video in reinforcement.
pub(crate) fn is_explored(subcategory: usize) -> bool {
    subcategory % 4 != 3
}

/// The thinking data; its clips are numbered from `first`.
pub(crate) fn thinking(size: Size, subcategories: usize, first: usize, seed: u64) -> Thinking {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7417);
    let clips = clips(size.safety_clips, first, &mut rng);
    let (known, new) = clips.split_at(clips.len() * 5 / 8);
    let of = |may: fn(usize) -> bool| (0..subcategories).filter(|&index| may(index)).collect();
    let (told, explored): (Vec<usize>, Vec<usize>) = (of(is_told), of(is_explored));
    let [mut sft, mut cot, mut rl, mut dpo] = ["sft", "cot", "rl", "dpo"].map(Records::new);
    let answers = Mix {
        harm: 2,
        twins: 30,
        about: 2,
        plain: 0,
    };
    let thoughts = Mix {
        harm: 1,
        twins: 100,
        about: 2,
        plain: 40,
    };
    let rewards = Mix {
        harm: 2,
        twins: 150,
        about: 1,
        plain: 40,
    };
    for clip in known {
        for asked in answers.about(clip, &told, &mut rng) {
            dpo.add(asked.clip, asked.textual, pair(&asked));
            sft.add(asked.clip, asked.textual, said(asked.query, asked.good));
        }
        for record in thoughts.thought(clip, &told, &mut rng) {
            cot.add(Some(clip), textual(&record), record);
        }
    }
    for asked in alone(subcategories, &mut rng) {
        dpo.add(None, asked.textual, pair(&asked));
        cot.add(None, asked.textual, thought(&asked));
        sft.add(None, asked.textual, said(asked.query, asked.good));
    }
    for clip in new {
        for record in rewards.thought(clip, &explored, &mut rng) {
            rl.add(Some(clip), textual(&record), record);
        }
    }
    Thinking {
        sft: sft.done(),
        cot: cot.done(),
        rl: rl.done(),
        dpo: dpo.done(),
        clips,
    }
}

/// The label that a tagged answer gives its query.
fn textual(record: &Record) -> SafetyLabel {
    match record.answer.contains("<textType>1") {
        true => SafetyLabel::Harmful,
        false => SafetyLabel::Safe,
    }
}

impl Mix {
    /// Questions about a clip; the harm is of these subcategories.
    fn about<'a>(&self, clip: &'a Clip, harm: &[usize], rng: &mut ChaCha8Rng) -> Vec<Asked<'a>> {
        let mut all = Vec::new();
        for _ in 0..self.harm {
            let index = harm[rng.random_range(0..harm.len())];
            let intent = harmful(index, rng.random_range(0..HARMFUL));
            all.extend(intent.map(|intent| declined(Some(clip), intent, rng)));
        }
        for _ in 0..often(self.twins, rng) {
            let wording = rng.random_range(HARMFUL..HARMLESS);
            let intent = harmless(rng.random_range(0..CRAFTS.len()), wording);
            all.push(helped(Some(clip), intent, rng));
        }
        let mut topics = TOPICS;
        topics.shuffle(rng);
        for topic in topics.into_iter().take(self.about) {
            let exchange = one_of(topic.exchanges(&clip.scene, Split::Train), rng);
            all.extend(exchange.map(|exchange| answered(Some(clip), exchange, rng)));
        }
        all
    }

    /// The same with reasoning and labels, and plain tasks.
    fn thought(&self, clip: &Clip, harm: &[usize], rng: &mut ChaCha8Rng) -> Vec<Record> {
        let mut all: Vec<Record> = self.about(clip, harm, rng).iter().map(thought).collect();
        for _ in 0..often(self.plain, rng) {
            let (task, options, exchange) = match rng.random_range(0..2) {
                0 => (Task::Numerical, Vec::new(), count(&clip.scene)),
                _ => choice(&clip.scene, rng),
            };
            all.push(Record {
                task,
                options,
                ..thought(&answered(Some(clip), exchange, rng))
            });
        }
        all
    }
}

/// A whole number that is `percent / 100` on average.
fn often(percent: u32, rng: &mut ChaCha8Rng) -> u32 {
    percent / 100 + u32::from(rng.random_ratio(percent % 100, 100))
}

const TOPICS: [Topic; 7] = [
    Topic::Shape,
    Topic::Colour,
    Topic::Motion,
    Topic::Hazard,
    Topic::Hazard,
    Topic::Ground,
    Topic::Count,
];

/// Without a video, some of everything, so that it is not forgotten: the harm of all subcategories.
fn alone(subcategories: usize, rng: &mut ChaCha8Rng) -> Vec<Asked<'static>> {
    let mut all = Vec::new();
    for index in 0..subcategories {
        for wording in 0..HARMFUL {
            let intent = harmful(index, wording);
            all.extend(intent.map(|intent| declined(None, intent, rng)));
        }
    }
    for index in 0..CRAFTS.len() {
        for wording in 0..HARMLESS {
            all.push(helped(None, harmless(index, wording), rng));
        }
    }
    let talk = talk(Split::Train).into_iter();
    all.extend(talk.map(|exchange| answered(None, exchange, rng)));
    all
}

fn declined<'a>(clip: Option<&'a Clip>, intent: Intent, rng: &mut ChaCha8Rng) -> Asked<'a> {
    Asked {
        clip,
        query: worded(intent, rng),
        good: refusal(rng.random_range(0..4)).to_owned(),
        bad: intent.help(),
        textual: SafetyLabel::Harmful,
        weighed: intent.weigh("harmful"),
    }
}

fn helped<'a>(clip: Option<&'a Clip>, intent: Intent, rng: &mut ChaCha8Rng) -> Asked<'a> {
    Asked {
        clip,
        query: worded(intent, rng),
        good: intent.help(),
        bad: refusal(rng.random_range(0..4)).to_owned(),
        textual: SafetyLabel::Safe,
        weighed: intent.weigh("harmless"),
    }
}

fn answered<'a>(clip: Option<&'a Clip>, exchange: Exchange, rng: &mut ChaCha8Rng) -> Asked<'a> {
    Asked {
        clip,
        query: exchange.query,
        good: exchange.answer,
        bad: refusal(rng.random_range(0..4)).to_owned(),
        textual: SafetyLabel::Safe,
        weighed: "The question is harmless.".to_owned(),
    }
}

fn pair(asked: &Asked<'_>) -> Record {
    Record {
        rejected: Some(asked.bad.clone()),
        ..said(asked.query.clone(), asked.good.clone())
    }
}

/// The four tags. Without a video there is nothing harmful to see.
fn thought(asked: &Asked<'_>) -> Record {
    let (seen, visual) = match asked.clip {
        Some(clip) => (look(&clip.scene), clip.scene.label()),
        None => ("There is no video.".to_owned(), SafetyLabel::Safe),
    };
    let think = format!("{seen} {}", asked.weighed);
    let completion = Completion::new(&think, &asked.good, visual, asked.textual)
        .expect("the world's words hold no tag");
    said(asked.query.clone(), completion.to_string())
}

/// A question with answers to choose from.
fn choice(scene: &Scene, rng: &mut ChaCha8Rng) -> (Task, Vec<String>, Exchange) {
    const LETTERS: [&str; 3] = ["A", "B", "C"];
    let right = scene.objects[0].colour;
    let mut colours: Vec<_> = Colour::ALL.to_vec();
    colours.retain(|&colour| colour != right);
    colours.shuffle(rng);
    let place = rng.random_range(0..LETTERS.len());
    colours.insert(place, right);
    let options: Vec<String> = LETTERS
        .iter()
        .zip(&colours)
        .map(|(letter, colour)| format!("{letter}. {}", colour.word()))
        .collect();
    let shape = scene.objects[0].shape.word();
    let exchange = Exchange {
        query: format!("What colour is the {shape}? {}", options.join(" ")),
        answer: LETTERS[place].to_owned(),
    };
    (Task::MultipleChoice, options, exchange)
}
