//! Feeds over real files and the tiny checkpoints of the goldens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod disk;
mod films;
mod lengths;
mod memory;

use std::path::Path;
use std::sync::Arc;

use model::Processor;
use train::data::Record;
use train::feed::{Conversation, Feed, Room, Settings};
use train::forward::{Example, Shown};
use video::{Decoder, Sampling};

use films::goldens;

/// A record about a video of the folder, or about none.
pub(crate) fn record(folder: &Path, id: &str, video: Option<&str>) -> Record {
    Record {
        id: id.into(),
        video: video.map(|name| folder.join(name)),
        query: "What happens in the video?".into(),
        answer: "The square moves to the right.".into(),
        ..Record::default()
    }
}

/// Of the checkpoint `grouped`, two frames a second and at most four, nothing kept on disk.
pub(crate) fn settings(threads: usize, media: usize) -> Settings {
    Settings {
        processor: Arc::new(Processor::open(&goldens().join("grouped/checkpoint")).unwrap()),
        decoder: Decoder::default(),
        sampling: Sampling::Fps {
            fps: 2.0,
            max_frames: 4,
        },
        frozen: None,
        disk: None,
        threads,
        room: Room {
            media,
            bytes: u64::MAX,
        },
    }
}

pub(crate) fn feed(records: &[Record], settings: Settings) -> Feed {
    let conversations = records.iter().map(Conversation::learn).collect();
    Feed::open(conversations, settings, &|_, _| {}).unwrap()
}

/// Everything that an example says, numbers by their bits.
pub(crate) fn said(example: &Example) -> (String, Vec<u32>, Vec<Vec<u32>>) {
    let media = example.media.iter().map(bits).collect();
    (
        example.id.clone(),
        example.sequence.input_ids.clone(),
        media,
    )
}

pub(crate) fn bits(shown: &Shown) -> Vec<u32> {
    match shown {
        Shown::Patches(input) => input
            .pixel_values
            .iter()
            .map(|value| value.to_bits())
            .collect(),
        Shown::Features(tensor) => {
            let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            values.into_iter().map(f32::to_bits).collect()
        }
    }
}

#[test]
fn a_record_can_be_learnt_asked_and_answered_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let record = record(folder.path(), "a", None);
    let conversations = vec![
        Conversation::learn(&record),
        Conversation::ask(&record),
        Conversation::answered(&record, "It moves."),
    ];
    let feed = Feed::open(conversations, settings(0, 1), &|_, _| {}).unwrap();
    let prompts: Vec<String> = (0..3)
        .map(|i| feed.example(i).unwrap().sequence.prompt.clone())
        .collect();
    assert!(prompts[0].ends_with("The square moves to the right.<|im_end|>\n"));
    assert!(prompts[1].ends_with("<|im_start|>assistant\n"));
    assert!(prompts[2].ends_with("It moves.<|im_end|>\n"));
    let targets: Vec<usize> = (0..3).map(|i| feed.length(i).unwrap().targets).collect();
    assert!(targets[0] > targets[2] && targets[2] > 0 && targets[1] == 0);
}

#[test]
fn every_answer_of_a_longer_conversation_is_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = record(folder.path(), "a", None);
    let short = feed(std::slice::from_ref(&record), settings(0, 1));
    record.turns.push(train::data::Turn {
        query: "And then?".into(),
        answer: "It stops.".into(),
    });
    let long = feed(&[record], settings(0, 1));
    let [short, long] = [short, long].map(|feed| feed.length(0).unwrap());
    assert!(long.targets > short.targets && long.tokens > short.tokens);
}
