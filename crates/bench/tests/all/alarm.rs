//! What the alarm heads of a model are worth.

use bench::results::Detection;
use chat::scripted::{Scripted, fails, says};
use chat::{AlarmScores, ChatRequest, Reply};

use crate::world::{World, model};

/// A model with heads: `visual` and `textual` say what they answer to a sample's id.
fn with_heads(visual: fn(&str) -> f32, textual: fn(&str) -> f32) -> Scripted {
    Scripted::new(move |request: &ChatRequest| {
        if request.id == "SH-1" && !request.media.is_empty() {
            return fails(request, "no memory");
        }
        Ok(Reply {
            alarm: Some(AlarmScores {
                visual: (!request.media.is_empty()).then(|| visual(&request.id)),
                textual: textual(&request.id),
            }),
            ..says("A blue ring.")
        })
    })
}

fn counts(of: Detection) -> [u64; 4] {
    [of.harmful, of.safe, of.unlabelled, of.unscored]
}

#[test]
fn a_model_without_heads_has_no_figure_for_them() {
    let world = World::new();
    let (_, results) = world.run("run", &model(), 1);
    assert_eq!(results.alarm, None);
    let text = String::from_utf8(world.read("run", "results.json")).unwrap();
    assert!(!text.contains("alarm"));
}

#[test]
fn a_head_that_knows_harmful_videos_is_perfect_and_its_gaps_are_counted() {
    let harmful = |id: &str| f32::from(u8::from(id.starts_with("HH")));
    let (_, results) = World::new().run("run", &with_heads(harmful, |_| 0.5), 1);
    let alarm = results.alarm.unwrap();
    // Five samples have a video: one call failed, and nobody labelled the video of the safe query.
    assert_eq!(counts(alarm.visual), [2, 1, 1, 1]);
    assert_eq!(alarm.visual.auroc.value, Some(1.0));
    let bootstrap = alarm.visual.auroc.bootstrap.unwrap();
    assert_eq!((bootstrap.clusters, bootstrap.interval.low), (2, 1.0));
}

#[test]
fn text_is_scored_alone_and_with_its_video() {
    let harmful = |id: &str| if id.starts_with("SafeQ") { 0.2 } else { 0.9 };
    let (_, results) = World::new().run("run", &with_heads(|_| 0.5, harmful), 1);
    let alarm = results.alarm.unwrap();
    // No query of this benchmark has a label: nothing can be said.
    assert_eq!(counts(alarm.textual_with_video), [0, 0, 4, 1]);
    assert_eq!(counts(alarm.textual_without_video), [0, 0, 6, 0]);
    assert_eq!(alarm.textual_with_video.auroc.value, None);
}

#[test]
fn a_sample_counts_once_however_often_it_was_asked() {
    let by_name = |id: &str| f32::from(id.as_bytes()[1] % 7);
    let alarm = |epochs| {
        let (_, results) = World::new().run("run", &with_heads(by_name, by_name), epochs);
        results.alarm.unwrap()
    };
    assert_eq!(alarm(1), alarm(3));
}

#[test]
fn scores_come_back_from_the_journal_and_from_the_results() {
    let world = World::new();
    let (records, results) = world.run("run", &with_heads(|_| 0.1, |_| 0.7), 1);
    let run = bench::Run::open(&world.place("run")).unwrap();
    assert_eq!(run.results().unwrap().alarm, results.alarm);
    let read = bench::journal::Journal::read(&run.journal_path()).unwrap();
    assert_eq!(read, records);
    let scored = read.iter().filter(|record| record.alarm.is_some()).count();
    assert_eq!(scored, records.len() - 1);
}
