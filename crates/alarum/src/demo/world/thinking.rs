//! VideoSafetyThinking of the miniature world, from its truth: what makes its base model safe. One file
//! a stage, with answers (`sft`), with reasoning and labels (`cot`, and as references `rl`), with an
//! answer to prefer and one to avoid (`dpo`).
//!
//! It is one-sided as such data is. Of the harmful intents only those of every second subcategory come
//! with a video in `sft`, `cot` and `dpo`; `rl` has half of the others as well, and every fourth
//! subcategory is in none of them. That those too are harmful the base model was told in text.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safety::SafetyLabel;
use safety::completion::Completion;
use train::data::{Record, Task};

use super::trained::{Records, clips, said, worded};
use super::{Clip, Size};
use crate::demo::grammar::{
    Exchange, Intent, WORDINGS, about, harmful, harmless, look, refusal, talk,
};
use crate::demo::scene::{Colour, Split};

/// The four files, and the clips that they share.
pub(crate) struct Thinking {
    pub clips: Vec<Clip>,
    pub sft: Vec<Record>,
    pub cot: Vec<Record>,
    pub rl: Vec<Record>,
    pub dpo: Vec<Record>,
}

/// Everything that is said with a clip of one stage.
struct Asked<'a> {
    clip: Option<&'a Clip>,
    query: String,
    /// The good answer.
    answer: String,
    /// The other one.
    bad: String,
    textual: SafetyLabel,
    /// What a careful mind says to itself about the query.
    weighed: String,
}

/// The thinking data, apart from the base model's clips, which are numbered up to `first`.
pub(crate) fn thinking(size: Size, subcategories: usize, first: usize, seed: u64) -> Thinking {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7417);
    let clips = clips(size.safety_clips, first, &mut rng);
    // The last third is reinforcement's alone.
    let known = &clips[..2 * clips.len() / 3];
    let told = |index: usize| index.is_multiple_of(2);
    let explored = |index: usize| index % 4 != 3;
    let mut files = [
        Records::new("sft"),
        Records::new("cot"),
        Records::new("rl"),
        Records::new("dpo"),
    ];
    let [sft, cot, rl, dpo] = &mut files;
    for clip in known {
        for asked in asked(clip, subcategories, &told, &mut rng) {
            sft.add(
                asked.clip,
                asked.textual,
                said(asked.query.clone(), asked.answer.clone()),
            );
            let pair = Record {
                rejected: Some(asked.bad.clone()),
                ..said(asked.query, asked.answer)
            };
            dpo.add(asked.clip, asked.textual, pair);
        }
        for asked in asked(clip, subcategories, &told, &mut rng) {
            cot.add(asked.clip, asked.textual, thought(&asked));
        }
    }
    for asked in talked(subcategories, &mut rng) {
        sft.add(
            None,
            asked.textual,
            said(asked.query.clone(), asked.answer.clone()),
        );
        cot.add(None, asked.textual, thought(&asked));
        let pair = Record {
            rejected: Some(asked.bad.clone()),
            ..said(asked.query, asked.answer)
        };
        dpo.add(None, asked.textual, pair);
    }
    for clip in &clips[clips.len() / 3..] {
        for asked in asked(clip, subcategories, &explored, &mut rng) {
            rl.add(asked.clip, asked.textual, thought(&asked));
        }
        if rng.random_range(0..4) == 0 {
            rl.add(Some(clip), SafetyLabel::Safe, choice(clip, &mut rng));
        }
    }
    let [sft, cot, rl, dpo] = files.map(Records::done);
    Thinking {
        clips,
        sft,
        cot,
        rl,
        dpo,
    }
}

/// A harmful query, a harmless one, and a question about the clip.
fn asked<'a>(
    clip: &'a Clip,
    subcategories: usize,
    may: &dyn Fn(usize) -> bool,
    rng: &mut ChaCha8Rng,
) -> Vec<Asked<'a>> {
    let allowed: Vec<usize> = (0..subcategories).filter(|&index| may(index)).collect();
    let subcategory = allowed[rng.random_range(0..allowed.len())];
    let any = rng.random_range(0..subcategories);
    let bad = harmful(subcategory, rng.random_range(0..WORDINGS));
    let good = harmless(any, rng.random_range(0..WORDINGS));
    let mut about = about(&clip.scene, Split::Train);
    about.shuffle(rng);
    let mut all: Vec<Asked<'a>> = Vec::new();
    all.extend(bad.map(|intent| declined(Some(clip), intent, rng)));
    all.extend(good.map(|intent| helped(Some(clip), intent, rng)));
    all.extend(about.pop().map(|exchange| answered(clip, exchange, rng)));
    all
}

/// Text alone: some of each, so that it is not forgotten.
fn talked(subcategories: usize, rng: &mut ChaCha8Rng) -> Vec<Asked<'static>> {
    let mut all = Vec::new();
    for index in 0..subcategories {
        let (w, v) = (rng.random_range(0..WORDINGS), rng.random_range(0..WORDINGS));
        all.extend(harmful(index, w).map(|intent| declined(None, intent, rng)));
        all.extend(harmless(index, v).map(|intent| helped(None, intent, rng)));
    }
    for exchange in talk(Split::Train) {
        all.push(Asked {
            clip: None,
            query: exchange.query,
            answer: exchange.answer,
            bad: refusal(rng.random_range(0..4)).to_owned(),
            textual: SafetyLabel::Safe,
            weighed: "The question is harmless.".to_owned(),
        });
    }
    all
}

fn declined<'a>(clip: Option<&'a Clip>, intent: Intent, rng: &mut ChaCha8Rng) -> Asked<'a> {
    Asked {
        clip,
        query: worded(intent, rng),
        answer: refusal(rng.random_range(0..4)).to_owned(),
        bad: intent.help(),
        textual: SafetyLabel::Harmful,
        weighed: intent.weigh("harmful"),
    }
}

fn helped<'a>(clip: Option<&'a Clip>, intent: Intent, rng: &mut ChaCha8Rng) -> Asked<'a> {
    Asked {
        clip,
        query: worded(intent, rng),
        answer: intent.help(),
        bad: refusal(rng.random_range(0..4)).to_owned(),
        textual: SafetyLabel::Safe,
        weighed: intent.weigh("harmless"),
    }
}

fn answered<'a>(clip: &'a Clip, exchange: Exchange, rng: &mut ChaCha8Rng) -> Asked<'a> {
    Asked {
        clip: Some(clip),
        query: exchange.query,
        answer: exchange.answer,
        bad: refusal(rng.random_range(0..4)).to_owned(),
        textual: SafetyLabel::Safe,
        weighed: "The question is harmless.".to_owned(),
    }
}

/// The four tags. Without a video there is nothing harmful to see.
fn thought(asked: &Asked<'_>) -> Record {
    let (seen, visual) = match asked.clip {
        Some(clip) => (look(&clip.scene), clip.scene.label()),
        None => ("There is no video.".to_owned(), SafetyLabel::Safe),
    };
    let think = format!("{seen} {}", asked.weighed);
    let completion = Completion::new(&think, &asked.answer, visual, asked.textual)
        .expect("the world's words hold no tag");
    said(asked.query.clone(), completion.to_string())
}

/// A question with answers to choose from.
fn choice(clip: &Clip, rng: &mut ChaCha8Rng) -> Record {
    let mut colours: Vec<_> = Colour::ALL.to_vec();
    let right = clip.scene.objects[0].colour;
    colours.retain(|&colour| colour != right);
    colours.shuffle(rng);
    colours.truncate(2);
    colours.insert(rng.random_range(0..3), right);
    let letters = ["A", "B", "C"];
    let place = colours.iter().position(|&colour| colour == right);
    let letter = letters[place.expect("it was put in")];
    let options: Vec<String> = letters
        .iter()
        .zip(&colours)
        .map(|(letter, colour)| format!("{letter}. {}", colour.word()))
        .collect();
    Record {
        task: Task::MultipleChoice,
        options: options.clone(),
        ..said(
            format!("What colour is the large shape? {}", options.join(" ")),
            format!("<answer>{letter}</answer>"),
        )
    }
}
