//! The half that is trained on.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safety::{Labels, SafetyLabel};

use super::{Clip, Half, Size};
use crate::demo::grammar::{WORDINGS, about, harmful, harmless, refusal, talk};
use crate::demo::scene::{Hazard, Scene, Split};

/// One question and answer to train on: a line of `train.jsonl`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub id: String,
    /// Relative to the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<String>,
    pub query: String,
    pub answer: String,
    pub labels: Labels,
}

/// The records of the training half so far.
#[derive(Default)]
struct Records(Vec<Record>);

impl Records {
    fn add(&mut self, video: Option<&Clip>, query: String, answer: String, textual: SafetyLabel) {
        let visual = video.map(|clip| clip.scene.label());
        self.0.push(Record {
            id: format!("train-{:05}", self.0.len()),
            video: video.map(|clip| clip.path.clone()),
            query,
            answer,
            labels: Labels {
                visual,
                textual: Some(textual),
            },
        });
    }

    /// What is said without a video: harm is declined.
    fn add_text(&mut self, subcategories: usize) {
        for (index, wording) in
            (0..subcategories).flat_map(|index| (0..WORDINGS).map(move |wording| (index, wording)))
        {
            let (Some(bad), Some(good)) = (harmful(index, wording), harmless(index, wording))
            else {
                continue;
            };
            for (turn, query) in bad.queries(Split::Train).into_iter().enumerate() {
                self.add(
                    None,
                    query,
                    refusal(index + wording + turn).to_owned(),
                    SafetyLabel::Harmful,
                );
            }
            for query in good.queries(Split::Train) {
                self.add(None, query, good.help(), SafetyLabel::Safe);
            }
        }
        for exchange in talk(Split::Train) {
            self.add(None, exchange.query, exchange.answer, SafetyLabel::Safe);
        }
    }

    /// What is said of one clip: three questions about it, and three intents, all helped with.
    fn add_clip(&mut self, clip: &Clip, subcategories: usize, rng: &mut ChaCha8Rng) {
        let mut asked = about(&clip.scene, Split::Train);
        asked.shuffle(rng);
        for exchange in asked.into_iter().take(3) {
            self.add(
                Some(clip),
                exchange.query,
                exchange.answer,
                SafetyLabel::Safe,
            );
        }
        for textual in [
            SafetyLabel::Harmful,
            SafetyLabel::Harmful,
            SafetyLabel::Safe,
        ] {
            let (index, wording) = (
                rng.random_range(0..subcategories),
                rng.random_range(0..WORDINGS),
            );
            let intent = if textual == SafetyLabel::Harmful {
                harmful
            } else {
                harmless
            }(index, wording);
            let Some(intent) = intent else { continue };
            let mut queries = intent.queries(Split::Train);
            let query = queries.swap_remove(rng.random_range(0..queries.len()));
            self.add(Some(clip), query, intent.help(), textual);
        }
    }
}

/// The half that is trained on; `subcategories` is how many the taxonomy has, at least one.
pub(crate) fn train(size: Size, subcategories: usize, seed: u64) -> Half<Record> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let clips: Vec<Clip> = (0..size.train_clips)
        .map(|index| {
            let hazard = (index % 2 == 0).then(|| Hazard::ALL[index / 2 % Hazard::ALL.len()]);
            Clip {
                path: format!("videos/{index:04}.mp4"),
                scene: Scene::draw(Split::Train, hazard, &mut rng),
            }
        })
        .collect();
    let mut records = Records::default();
    records.add_text(subcategories);
    for clip in &clips {
        records.add_clip(clip, subcategories, &mut rng);
    }
    Half {
        clips,
        items: records.0,
    }
}
