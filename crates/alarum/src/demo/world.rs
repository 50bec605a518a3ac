//! What is trained on and what is held out.
//!
//! The training mixture brings a model into the state in which the paper finds video models: harmful
//! intents are declined in text, and whatever comes with a video is helped with, as in unfiltered
//! video instruction data. Nothing tells the model to comply because of the video; nobody told it not
//! to.

mod film;
pub(crate) mod held_out;
pub(crate) mod thinking;
pub(crate) mod trained;

pub(crate) use film::film;
pub(crate) use held_out::{samples, test};
pub(crate) use thinking::{Thinking, thinking};
pub(crate) use trained::train;

use super::scene::Scene;

/// How much of the world there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Clips that the base model is trained on, half of them with a hazard; each is in eight records.
    pub base_clips: usize,
    /// Clips of the safety training, likewise.
    pub safety_clips: usize,
    /// Held-out samples of each subset for each subcategory. Those of HH and SH ask
    /// the same about a clip of their own each; SafeQ asks about the same clips.
    pub test_samples: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            base_clips: 600,
            safety_clips: 300,
            test_samples: 4,
        }
    }
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use safety::{SafetyLabel, Subset};

    use train::data::Record;

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
                base_clips: 2,
                safety_clips: 3,
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
                base_clips: 2,
                safety_clips: 3,
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
