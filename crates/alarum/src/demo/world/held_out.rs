//! The held-out half: a benchmark.

use std::path::Path;

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use safety::{Labels, Language, SafetyLabel, Sample, Subset, VideoRef};

use super::{Clip, Half, Size};
use crate::demo::grammar::{Exchange, HARMFUL, Intent, Topic, harmful, harmless, talk};
use crate::demo::lexicon::CRAFTS;
use crate::demo::scene::{FPS, FRAMES, Hazard, Scene, Split};

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
            let hazard = Hazard::ALL[(index + turn) % Hazard::ALL.len()];
            for hazard in [Some(hazard), None] {
                let path = format!("videos/{:04}.mp4", half.clips.len());
                half.clips.push(Clip {
                    path,
                    scene: Scene::draw(Split::Test, hazard, &mut rng),
                });
            }
            let [hazardous, calm] = [half.clips.len() - 2, half.clips.len() - 1];
            let place = Place { index, turn, ids };
            // One intent with both videos, so that the subsets differ in nothing else.
            let query = harmful(index, turn).map(|intent| place.asked(intent));
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
            let (exchange, clip) = safe(&place, &half.clips, [hazardous, calm], &talk);
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

/// A safe question and the clip it is about, in turn: what is seen of a hazard, the twin of something
/// harmful, what is seen without a hazard, something plain or small talk without a video.
fn safe(
    place: &Place<'_>,
    clips: &[Clip],
    [hazardous, calm]: [usize; 2],
    talk: &[Exchange],
) -> (Exchange, Option<usize>) {
    let Place { index, turn, .. } = *place;
    let clip = if (index + turn).is_multiple_of(2) {
        hazardous
    } else {
        calm
    };
    let intent = |index, wording| {
        let intent = harmless(index, wording);
        Exchange {
            query: place.asked(intent),
            answer: intent.help(),
        }
    };
    match turn % 6 {
        // Of all crafts; every other one the twin of harm that is never trained on with a video.
        1 | 5 => (
            intent((3 * index + turn) % CRAFTS.len(), HARMFUL + index % 2),
            Some(clip),
        ),
        3 if index.is_multiple_of(2) => (talk[index / 2 % talk.len()].clone(), None),
        3 => (intent(index, index / 2), Some(clip)),
        turn => {
            let clip = if turn == 0 { hazardous } else { clip };
            let scene = &clips[clip].scene;
            let asked =
                (0..TOPICS.len()).map(|next| TOPICS[(index + 2 * turn + next) % TOPICS.len()]);
            let exchange = asked
                .flat_map(|topic| topic.exchanges(scene, Split::Test))
                .next();
            (
                exchange.expect("a shape can always be asked about"),
                Some(clip),
            )
        }
    }
}

/// What is asked about held-out clips. A description of everything is not: it would be right as a whole or
/// wrong as a whole.
const TOPICS: [Topic; 6] = [
    Topic::Motion,
    Topic::Hazard,
    Topic::Colour,
    Topic::Shape,
    Topic::Ground,
    Topic::Count,
];

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
    /// How an intent is asked for here: otherwise at each place.
    fn asked(&self, intent: Intent) -> String {
        let mut queries = intent.queries(Split::Test);
        queries.swap_remove((self.index + self.turn + self.turn / 4) % queries.len())
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
                seconds: FRAMES as f64 / FPS as f64,
                source: Some(match clip.scene.strange {
                    Some(strange) => format!("{SOURCE}, strange: {strange:?}").to_lowercase(),
                    None => SOURCE.to_owned(),
                }),
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
