//! The held-out half: a benchmark.

use std::path::Path;

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use safety::{Labels, Language, SafetyLabel, Sample, Subset, VideoRef};

use super::{Clip, Half, Size};
use crate::demo::grammar::{Exchange, about, harmful, harmless, talk};
use crate::demo::scene::{FPS, Scene, Split};

/// What the benchmark names as the source of its clips and samples.
const SOURCE: &str = "alarum miniature world";

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
            for label in [SafetyLabel::Harmful, SafetyLabel::Safe] {
                let path = format!("videos/{:04}.mp4", half.clips.len());
                half.clips.push(Clip {
                    path,
                    scene: Scene::draw(Split::Test, label, &mut rng),
                });
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
            // In turn: what is seen, something plain to do with a video, what is seen, the same or small
            // talk without a video.
            let (exchange, clip) = match turn % 4 {
                0 | 2 => (
                    place.pick(about(&half.clips[clip].scene, Split::Test)),
                    Some(clip),
                ),
                3 if index % 4 == 0 => (talk[index / 4 % talk.len()].clone(), None),
                _ => {
                    let Some(intent) = harmless(index, turn) else {
                        continue;
                    };
                    let exchange = Exchange {
                        query: place.pick(intent.queries(Split::Test)),
                        answer: intent.help(),
                    };
                    (exchange, Some(clip))
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
