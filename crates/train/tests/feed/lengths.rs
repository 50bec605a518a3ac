//! What an example costs is known before anything is decoded.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use model::Processor;
use train::data::Record;
use video::Sampling;

use crate::films::{film, goldens};
use crate::{feed, record, settings};

/// The checkpoint `name` of the goldens, token compression set as given.
fn processor(name: &str, compression: bool) -> Arc<Processor> {
    let from = goldens().join(name).join("checkpoint");
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = folder.path().join(path.file_name().unwrap());
        if path.extension().is_some_and(|ending| ending == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let (on, off) = (
                "\"use_token_compression\": true",
                "\"use_token_compression\": false",
            );
            let text = if compression {
                text
            } else {
                text.replace(on, off)
            };
            std::fs::write(to, text).unwrap();
        } else if path.is_file() {
            std::fs::copy(path, to).unwrap();
        }
    }
    Arc::new(Processor::open(folder.path()).unwrap())
}

/// Films of many lengths, rates and sizes, one that stands still, and a picture.
const FILMS: [(&str, &str); 7] = [
    ("0.mp4", "testsrc=size=84x56:rate=4:duration=2"),
    ("1.mp4", "testsrc=size=60x90:rate=30000/1001:duration=3"),
    ("2.mp4", "testsrc=size=300x200:rate=25:duration=0.2"),
    ("3.mp4", "color=gray:size=120x80:rate=10:duration=12.3"),
    ("4.mp4", "testsrc=size=128x72:rate=12:duration=7.5"),
    ("5.mkv", "testsrc=size=84x56:rate=4:duration=2"),
    ("6.png", "testsrc=size=150x70:rate=1:duration=1"),
];

/// One about each film and one about none.
fn records(folder: &Path) -> Vec<Record> {
    let mut records = vec![record(folder, "text", None)];
    for (name, _) in FILMS {
        let about = record(folder, name, Some(name));
        records.push(match name.ends_with(".png") {
            true => Record {
                image: about.video.clone(),
                video: None,
                ..about
            },
            false => about,
        });
    }
    records
}

/// A folder with the films of [`records`], made once and kept beside the build.
fn shared() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let filmed = || {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("feed-lengths");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, source) in FILMS {
            let aside = format!("aside-{}-{name}", std::process::id());
            film(&folder, &aside, source);
            std::fs::rename(folder.join(aside), folder.join(name)).unwrap();
        }
        folder
    };
    FOLDER.get_or_init(filmed)
}

/// Tokens foreseen and found of each record.
fn tokens(processor: &Arc<Processor>, sampling: Sampling) -> Vec<(usize, usize)> {
    let records = records(shared());
    let mut settings = settings(0, 1);
    settings.processor = Arc::clone(processor);
    settings.sampling = sampling;
    let feed = feed(&records, settings);
    let tokens = |i| {
        let (length, example) = (feed.length(i).unwrap(), feed.example(i).unwrap());
        let labels = example.sequence.labels.as_ref().unwrap();
        assert_eq!(length.targets, labels.iter().flatten().count());
        (length.tokens, example.sequence.input_ids.len())
    };
    (0..records.len()).map(tokens).collect()
}

const SAMPLINGS: [Sampling; 4] = [
    Sampling::Fps {
        fps: 2.0,
        max_frames: 5,
    },
    Sampling::Transformers {
        fps: 1.0,
        min_frames: 2,
        max_frames: 6,
    },
    Sampling::Uniform { frames: 3 },
    Sampling::Fps {
        fps: 0.5,
        max_frames: 180,
    },
];

#[test]
fn without_compression_the_length_is_exact() {
    for sampling in SAMPLINGS {
        for (foreseen, found) in tokens(&processor("grouped", false), sampling) {
            assert_eq!(foreseen, found, "{sampling:?}");
        }
    }
}

#[test]
fn with_compression_the_length_is_a_bound() {
    for name in ["grouped", "original"] {
        let found = tokens(&processor(name, true), SAMPLINGS[0]);
        assert!(
            found.iter().all(|(foreseen, found)| foreseen >= found),
            "{found:?}"
        );
        assert!(
            found.iter().any(|(foreseen, found)| foreseen > found),
            "{found:?}"
        );
    }
}

#[test]
fn what_was_decoded_before_changes_no_length() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(shared());
    let lengths = |disk: &Path| {
        let mut settings = settings(0, 9);
        settings.disk = Some(train::feed::Disk {
            folder: disk.to_owned(),
            most_bytes: u64::MAX,
        });
        let feed = feed(&records, settings);
        let lengths: Vec<_> = (0..records.len()).map(|i| feed.length(i)).collect();
        for i in 0..records.len() {
            feed.example(i).unwrap();
        }
        lengths
    };
    let disk = folder.path().join("disk");
    assert_eq!(lengths(&disk), lengths(&disk));
}
