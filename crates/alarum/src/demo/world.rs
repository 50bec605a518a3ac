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
    /// Clips that the base model is trained on, half of them with a hazard; each is in three
    /// conversations.
    pub base_clips: usize,
    /// Clips of the safety training, likewise half of them with a hazard.
    pub safety_clips: usize,
    /// Held-out samples of each subset for each subcategory. Those of HH and SH ask
    /// the same about a clip of their own each; SafeQ asks about the same clips.
    pub test_samples: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            base_clips: 800,
            safety_clips: 480,
            test_samples: 6,
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

    use train::data::{Record, Task};

    use super::thinking::{is_explored, is_told};
    use super::*;
    use crate::demo::grammar::{HARMFUL, harmful, harmless};
    use crate::demo::lexicon::CRAFTS;
    use crate::demo::scene::Split;

    const SMALL: Size = Size {
        base_clips: 2,
        safety_clips: 8,
        test_samples: 1,
    };

    fn taught() -> [Vec<Record>; 4] {
        let thinking = thinking(Size::default(), 19, 0, 1);
        [thinking.sft, thinking.cot, thinking.rl, thinking.dpo]
    }

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
            let harm_alone = asked_for_harm && record.video.is_none();
            assert_eq!(declined, harm_alone, "{record:?}");
            let mut turns = record.turns.iter();
            let declines = |answer: &str| safety::refusal::detect(answer).is_some();
            assert!(turns.all(|turn| !declines(&turn.answer)), "{record:?}");
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
        let base = train(Size::default(), 19, 1);
        let taught = thinking(Size::default(), 19, base.clips.len(), 1);
        let records = [base.items, taught.sft, taught.cot, taught.rl, taught.dpo].concat();
        let asked = |record: &Record| {
            let turns = record.turns.iter().map(|turn| turn.query.clone());
            turns.chain([record.query.clone()]).collect::<Vec<_>>()
        };
        let trained: HashSet<_> = records.iter().flat_map(asked).collect();
        let test = test(Size::default(), &ids(), 1);
        let mut held_out = test.items.iter().map(|draft| &draft.sample.query);
        assert!(held_out.all(|query| !trained.contains(query)));
        let filmed: HashSet<_> = base
            .clips
            .iter()
            .chain(&taught.clips)
            .map(|clip| clip.scene.combination())
            .collect();
        let mut held_out = test.clips.iter().map(|clip| clip.scene.combination());
        assert!(held_out.all(|combination| !filmed.contains(&combination)));
    }

    #[test]
    fn a_part_of_what_is_held_out_is_strange() {
        let clips = test(Size::default(), &ids(), 1).clips;
        let strange = clips.iter().filter(|clip| clip.scene.strange.is_some());
        let share = strange.count() as f64 / clips.len() as f64;
        assert!((0.2..0.5).contains(&share), "{share}");
    }

    #[test]
    fn every_answer_is_safe_in_every_file() {
        for record in taught().concat() {
            let said = safety::completion::shown(&record.answer);
            let declined = safety::refusal::detect(said).is_some();
            let harmful = record.labels.textual == Some(SafetyLabel::Harmful);
            assert_eq!(declined, harmful, "{record:?}");
        }
    }

    #[test]
    fn preferred_and_avoided_answers_differ_in_declining() {
        let [_, _, _, dpo] = taught();
        let declines = |answer: &str| safety::refusal::detect(answer).is_some();
        for record in dpo {
            let rejected = record.rejected.as_deref().unwrap();
            assert_ne!(declines(&record.answer), declines(rejected), "{rejected}");
        }
    }

    #[test]
    fn tags_and_labels_agree() {
        let [_, cot, rl, _] = taught();
        for record in [cot, rl].concat() {
            let read = safety::completion::parse(&record.answer);
            assert!(read.strict, "{}", record.answer);
            assert_eq!(read.text(), record.labels.textual);
            assert_eq!(
                read.video(),
                record.labels.visual.or(Some(SafetyLabel::Safe))
            );
        }
    }

    #[test]
    fn reinforcement_has_plain_tasks() {
        let [_, _, rl, _] = taught();
        for task in [Task::MultipleChoice, Task::Numerical] {
            let of_task = rl.iter().filter(|record| record.task == task);
            assert!(of_task.count() > 20, "{task:?}");
        }
    }

    /// Subcategories whose harm some record asks for with a video.
    fn shown(records: &[Record]) -> HashSet<usize> {
        let queries: HashSet<&str> = records
            .iter()
            .filter(|record| record.video.is_some())
            .map(|record| record.query.as_str())
            .collect();
        let asked = |index: &usize| {
            let intents = (0..HARMFUL).filter_map(|wording| harmful(*index, wording));
            let mut asked = intents.flat_map(|intent| intent.queries(Split::Train));
            asked.any(|query| queries.contains(query.as_str()))
        };
        (0..19).filter(asked).collect()
    }

    #[test]
    fn some_harm_is_shown_with_no_video_in_the_safety_training() {
        let [sft, cot, rl, dpo] = taught();
        let told: HashSet<usize> = (0..19).filter(|&index| is_told(index)).collect();
        assert_eq!(
            [shown(&sft), shown(&cot), shown(&dpo)],
            [(); 3].map(|()| told.clone())
        );
        assert_eq!(
            shown(&rl),
            (0..19).filter(|&index| is_explored(index)).collect()
        );
        assert!(shown(&rl).len() < 19);
    }

    #[test]
    fn reinforcement_sees_other_clips() {
        let [sft, cot, rl, dpo] = taught();
        let videos = |records: &[Record]| -> HashSet<_> {
            records
                .iter()
                .filter_map(|record| record.video.clone())
                .collect()
        };
        let known = videos(&[sft, cot, dpo].concat());
        assert!(videos(&rl).is_disjoint(&known));
    }

    #[test]
    fn the_held_out_half_asks_for_the_twins_of_harm() {
        let half = test(Size::default(), &ids(), 1);
        let twins: HashSet<String> = (0..CRAFTS.len())
            .flat_map(|index| (HARMFUL..2 * HARMFUL).map(move |wording| harmless(index, wording)))
            .flat_map(|intent| intent.queries(Split::Test))
            .collect();
        let safe = half
            .items
            .iter()
            .filter(|draft| draft.sample.subset == Subset::SafeQ);
        let asked = safe
            .filter(|draft| twins.contains(&draft.sample.query))
            .count();
        assert!(asked >= 19, "{asked}");
    }

    #[test]
    fn a_record_is_read_back_as_written() {
        let taught = thinking(SMALL, 19, 2, 1);
        let records = [train(SMALL, 19, 1).items, taught.rl, taught.dpo];
        for record in records.concat() {
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        }
    }

    #[test]
    fn filming_again_keeps_what_is_there_and_mends_what_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let clips = train(SMALL, 19, 1).clips;
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
