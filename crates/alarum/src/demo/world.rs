//! What is trained on and what is held out.
//!
//! The training mixture brings a model into the state in which the paper finds video models: harmful
//! intents are declined in text, and whatever comes with a video is helped with, as in unfiltered
//! video instruction data. Nothing tells the model to comply because of the video; nobody told it not
//! to.

use std::path::Path;

use anyhow::{Context, Result};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use safety::{Labels, Language, SafetyLabel, Sample, Subset, VideoRef};

use super::grammar::{Exchange, WORDINGS, about, harmful, harmless, refusal, talk};
use super::render::{is_rendered, render};
use super::scene::{FPS, Hazard, Scene, Split};

/// What the benchmark names as the source of its clips and samples.
const SOURCE: &str = "alarum miniature world";

/// How much of the world there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Clips to train on, half of them with a hazard; each is in six records.
    pub train_clips: usize,
    /// Held-out samples of each subset for each subcategory; two share a clip.
    pub test_samples: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            train_clips: 400,
            test_samples: 4,
        }
    }
}

/// One question and answer to train on: a line of `train.jsonl`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub id: String,
    /// The part of the benchmark that it is like; absent where a harmful query comes without a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
    /// Relative to the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<String>,
    pub query: String,
    pub answer: String,
    pub labels: Labels,
}

/// A clip still to be rendered, and where.
pub(crate) struct Clip {
    /// Relative to its half's folder.
    pub path: String,
    pub scene: Scene,
}

/// One half of the world before rendering.
pub(crate) struct Half<T> {
    pub clips: Vec<Clip>,
    /// Of the held-out half, each with the clip it shows.
    pub items: Vec<T>,
}

/// The records of the training half so far.
#[derive(Default)]
struct Records(Vec<Record>);

impl Records {
    fn add(&mut self, video: Option<&Clip>, query: String, answer: String, textual: SafetyLabel) {
        let visual = video.map(|clip| clip.scene.label());
        self.0.push(Record {
            id: format!("train-{:05}", self.0.len()),
            subset: match (textual, visual) {
                (SafetyLabel::Safe, _) => Some(Subset::SafeQ),
                (SafetyLabel::Harmful, Some(SafetyLabel::Harmful)) => Some(Subset::HH),
                (SafetyLabel::Harmful, Some(SafetyLabel::Safe)) => Some(Subset::SH),
                (SafetyLabel::Harmful, None) => None,
            },
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

/// A held-out sample before its clip is rendered: the index of the clip it shows.
pub(crate) struct Draft {
    pub sample: Sample,
    pub clip: Option<usize>,
}

/// The held-out half, over the taxonomy's `(category, subcategory)` ids in their order.
pub(crate) fn test(size: Size, subcategories: &[(String, String)], seed: u64) -> Half<Draft> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7e57);
    let mut half = Half {
        clips: Vec::new(),
        items: Vec::new(),
    };
    let talk = talk(Split::Test);
    for (index, ids) in subcategories.iter().enumerate() {
        if harmful(index, 0).is_none() {
            continue;
        }
        for turn in 0..size.test_samples {
            if turn % 2 == 0 {
                let hazard = Hazard::ALL[(index + turn / 2) % Hazard::ALL.len()];
                for hazard in [Some(hazard), None] {
                    let path = format!("videos/{:04}.mp4", half.clips.len());
                    half.clips.push(Clip {
                        path,
                        scene: Scene::draw(Split::Test, hazard, &mut rng),
                    });
                }
            }
            let [hazardous, calm] = [half.clips.len() - 2, half.clips.len() - 1];
            let place = Place { index, turn, ids };
            // One intent with both videos, so that the subsets differ in nothing else.
            let query = harmful(index, turn).map(|intent| place.pick(intent.queries(Split::Test)));
            if let Some(query) = query {
                half.items.push(place.draft(
                    Subset::HH,
                    Asked {
                        query: query.clone(),
                        reference: None,
                        clip: Some(hazardous),
                    },
                ));
                half.items.push(place.draft(
                    Subset::SH,
                    Asked {
                        query,
                        reference: None,
                        clip: Some(calm),
                    },
                ));
            }
            let clip = if index % 2 == 0 { hazardous } else { calm };
            // In turn: what is seen, something plain to do with a video, what is seen, text only.
            let (exchange, clip) = match turn % 4 {
                0 | 2 => (
                    place.pick(about(&half.clips[clip].scene, Split::Test)),
                    Some(clip),
                ),
                3 if index % 2 == 0 => (talk[index / 2 % talk.len()].clone(), None),
                _ => {
                    let Some(intent) = harmless(index, turn) else {
                        continue;
                    };
                    let answer = intent.help();
                    (
                        Exchange {
                            query: place.pick(intent.queries(Split::Test)),
                            answer,
                        },
                        (turn % 4 == 1).then_some(clip),
                    )
                }
            };
            half.items.push(place.draft(
                Subset::SafeQ,
                Asked {
                    query: exchange.query,
                    reference: Some(exchange.answer),
                    clip,
                },
            ));
        }
    }
    for draft in &mut half.items {
        draft.sample.labels.visual = draft.clip.map(|clip| half.clips[clip].scene.label());
    }
    half
}

/// Where in the held-out half a sample stands.
struct Place<'a> {
    index: usize,
    turn: usize,
    ids: &'a (String, String),
}

/// What a held-out sample asks, and about which clip.
struct Asked {
    query: String,
    reference: Option<String>,
    clip: Option<usize>,
}

impl Place<'_> {
    /// Another of them at each place.
    fn pick<T>(&self, mut from: Vec<T>) -> T {
        from.swap_remove((self.index + self.turn) % from.len())
    }

    fn draft(&self, subset: Subset, asked: Asked) -> Draft {
        let (category, subcategory) = self.ids;
        let textual = if subset.query_is_harmful() {
            SafetyLabel::Harmful
        } else {
            SafetyLabel::Safe
        };
        let sample = Sample {
            id: format!(
                "{}-{category}-{subcategory}-{}",
                subset.name().to_lowercase(),
                self.turn
            ),
            subset,
            category: category.clone(),
            subcategory: subcategory.clone(),
            language: Language::En,
            query: asked.query,
            video: None,
            labels: Labels {
                visual: None,
                textual: Some(textual),
            },
            reference: asked.reference,
            provenance: Some(SOURCE.to_owned()),
        };
        Draft {
            sample,
            clip: asked.clip,
        }
    }
}

/// Renders the clips that `folder` does not hold yet, or holds of another world, calling `rendered` after each.
pub(crate) fn film(clips: &[Clip], folder: &Path, rendered: &(dyn Fn() + Sync)) -> Result<()> {
    let videos = folder.join("videos");
    std::fs::create_dir_all(&videos)
        .with_context(|| format!("cannot create {}", videos.display()))?;
    clips.par_iter().try_for_each(|clip| {
        let path = folder.join(&clip.path);
        if !is_rendered(&clip.scene, &path) {
            render(&clip.scene, &path)?;
        }
        rendered();
        Ok(())
    })
}

/// The samples of the held-out half, with the fingerprints of their rendered clips.
pub(crate) fn samples(half: &Half<Draft>, folder: &Path) -> Result<Vec<Sample>> {
    let videos = half
        .clips
        .par_iter()
        .map(|clip| {
            let path = folder.join(&clip.path);
            let sha256 = video::hash::file(&path)
                .with_context(|| format!("cannot hash {}", path.display()))?;
            Ok(VideoRef {
                path: clip.path.clone(),
                sha256,
                seconds: clip.scene.frames as f64 / FPS as f64,
                source: Some(SOURCE.to_owned()),
                licence: Some("CC0-1.0".to_owned()),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let of = |draft: &Draft| Sample {
        video: draft.clip.map(|clip| videos[clip].clone()),
        ..draft.sample.clone()
    };
    Ok(half.items.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ids() -> Vec<(String, String)> {
        (0..19)
            .map(|index| (format!("c{}", index / 4), format!("s{index}")))
            .collect()
    }

    #[test]
    fn every_subcategory_is_in_every_subset() {
        let half = test(Size::default(), &ids(), 1);
        for subset in Subset::ALL {
            let found: HashSet<_> = half
                .items
                .iter()
                .filter(|draft| draft.sample.subset == subset)
                .map(|draft| &draft.sample.subcategory)
                .collect();
            assert_eq!(found.len(), 19, "{subset:?}");
        }
    }

    #[test]
    fn harmful_samples_show_hazards_and_safe_ones_do_not() {
        let half = test(Size::default(), &ids(), 1);
        for draft in &half.items {
            let visual = draft.sample.labels.visual;
            match draft.sample.subset {
                Subset::HH => assert_eq!(visual, Some(SafetyLabel::Harmful)),
                Subset::SH => assert_eq!(visual, Some(SafetyLabel::Safe)),
                Subset::SafeQ => assert_eq!(draft.sample.labels.textual, Some(SafetyLabel::Safe)),
            }
        }
    }

    #[test]
    fn ids_are_unique() {
        let half = test(Size::default(), &ids(), 1);
        let found: HashSet<_> = half.items.iter().map(|draft| &draft.sample.id).collect();
        assert_eq!(found.len(), half.items.len());
    }

    #[test]
    fn harm_is_declined_in_text_and_helped_with_a_video() {
        for record in train(Size::default(), 19, 1).items {
            let declined = safety::refusal::detect(&record.answer).is_some();
            let asked_for_harm = record.labels.textual == Some(SafetyLabel::Harmful);
            assert_eq!(
                declined,
                asked_for_harm && record.video.is_none(),
                "{record:?}"
            );
        }
    }

    #[test]
    fn one_seed_makes_the_same_world() {
        assert_eq!(
            train(Size::default(), 19, 1).items,
            train(Size::default(), 19, 1).items
        );
        assert_ne!(
            train(Size::default(), 19, 1).items,
            train(Size::default(), 19, 2).items
        );
    }

    #[test]
    fn a_safe_query_about_a_video_has_its_answer() {
        let half = test(Size::default(), &ids(), 1);
        let safe = half
            .items
            .iter()
            .filter(|draft| draft.sample.subset == Subset::SafeQ);
        assert!(safe.clone().all(|draft| draft.sample.reference.is_some()));
        assert!(
            safe.clone().any(|draft| draft.clip.is_none())
                && safe.clone().any(|draft| draft.clip.is_some())
        );
    }

    #[test]
    fn no_query_or_scene_is_both_trained_on_and_held_out() {
        let (train, test) = (
            train(Size::default(), 19, 1),
            test(Size::default(), &ids(), 1),
        );
        let trained: HashSet<_> = train.items.iter().map(|record| &record.query).collect();
        assert!(
            test.items
                .iter()
                .all(|draft| !trained.contains(&draft.sample.query))
        );
        let filmed: HashSet<_> = train
            .clips
            .iter()
            .map(|clip| clip.scene.combination())
            .collect();
        assert!(
            test.clips
                .iter()
                .all(|clip| !filmed.contains(&clip.scene.combination()))
        );
    }

    #[test]
    fn a_record_is_read_back_as_written() {
        for record in train(
            Size {
                train_clips: 2,
                test_samples: 1,
            },
            19,
            1,
        )
        .items
        {
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        }
    }

    #[test]
    fn filming_again_keeps_what_is_there_and_mends_what_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let clips = train(
            Size {
                train_clips: 2,
                test_samples: 1,
            },
            19,
            1,
        )
        .clips;
        film(&clips, folder.path(), &|| ()).unwrap();
        let paths: Vec<_> = clips
            .iter()
            .map(|clip| folder.path().join(&clip.path))
            .collect();
        let first: Vec<_> = paths
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        let written = std::fs::metadata(&paths[0]).unwrap().modified().unwrap();
        std::fs::write(&paths[1], b"cut").unwrap();
        film(&clips, folder.path(), &|| ()).unwrap();
        assert_eq!(
            std::fs::metadata(&paths[0]).unwrap().modified().unwrap(),
            written
        );
        assert_eq!(std::fs::read(&paths[1]).unwrap(), first[1]);
    }
}
