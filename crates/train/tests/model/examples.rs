//! Records and clips become the same sequences and patches as in the goldens.

use std::path::Path;
use std::sync::Arc;

use model::VisionInput;
use model::processor::Processor;
use train::BoxError;
use train::data::Record;
use train::examples::{Examples, examples};
use train::forward::{Example, Shown};
use video::{Clip, Frame, Seconds};

use crate::tiny::{Golden, golden, goldens, json};

fn record(id: &str, video: Option<&str>) -> Record {
    Record {
        id: id.into(),
        video: video.map(Into::into),
        query: "What happens in the video?".into(),
        answer: "The square moves to the right.".into(),
        ..Record::default()
    }
}

/// The frames of the golden `video`, whatever is asked for; none of `missing.mp4`.
fn clip(path: &Path) -> Result<Arc<Clip>, BoxError> {
    if path == Path::new("missing.mp4") {
        return Err("no such file".into());
    }
    let described = json("grouped/video.json");
    let media = &described["prompts"][0]["media"][0];
    let names = media["files"].as_array().unwrap();
    let times = media["seconds"].as_array().unwrap();
    let frames = names.iter().zip(times).map(|(name, seconds)| {
        let file = goldens().join("media").join(name.as_str().unwrap());
        let clip = video::Decoder::default().image(&file).unwrap();
        Frame {
            seconds: Seconds(seconds.as_f64().unwrap()),
            ..clip.frames[0].clone()
        }
    });
    Ok(Arc::new(Clip {
        frames: frames.collect(),
        source_sha256: String::new(),
    }))
}

fn made(records: &[Record]) -> Examples {
    let processor = Processor::open(&goldens().join("grouped/checkpoint")).unwrap();
    examples(&processor, records, &clip)
}

fn patches(example: &Example) -> Vec<&Arc<VisionInput>> {
    let shown = example.media.iter();
    shown
        .filter_map(|shown| match shown {
            Shown::Patches(input) => Some(input),
            Shown::Features(_) => None,
        })
        .collect()
}

#[test]
fn a_record_becomes_the_sequence_labels_and_patches_of_the_reference() {
    let Golden {
        examples: reference,
        ..
    } = golden(|_| false);
    let want = reference
        .iter()
        .find(|example| example.id == "video")
        .unwrap();
    let found = &made(&[record("a", Some("a.mp4"))]).usable[0];
    assert_eq!(found.sequence.input_ids, want.sequence.input_ids);
    assert_eq!(found.sequence.labels, want.sequence.labels);
    assert_eq!(found.sequence.vision, want.sequence.vision);
    assert_eq!(patches(found), patches(want));
}

#[test]
fn records_about_one_video_share_its_patches() {
    let found = made(&[
        record("a", Some("a.mp4")),
        record("b", None),
        record("c", Some("a.mp4")),
    ]);
    let ids: Vec<_> = found
        .usable
        .iter()
        .map(|example| example.id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let (first, second) = (&found.usable[0], &found.usable[2]);
    assert!(Arc::ptr_eq(patches(first)[0], patches(second)[0]));
    assert!(found.usable[1].media.is_empty());
}

#[test]
fn records_of_a_video_that_cannot_be_read_are_named_and_the_others_kept() {
    let found = made(&[
        record("a", Some("missing.mp4")),
        record("b", Some("b.mp4")),
        record("c", Some("missing.mp4")),
    ]);
    assert_eq!(found.usable.len(), 1);
    let said: Vec<_> = found
        .unusable
        .iter()
        .map(|u| format!("{u}: {}", u.reason))
        .collect();
    assert_eq!(
        said,
        [
            "record a is left out: no such file",
            "record c is left out: no such file"
        ]
    );
}
