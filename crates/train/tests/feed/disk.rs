//! Features of a frozen encoder are computed once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device};
use model::{Config, VideoLlama3, Weights};
use train::feed::{Counts, Disk, Feed, Frozen, Settings};
use train::forward::Shown;

use crate::films::{film, films, goldens};
use crate::{bits, feed, record, said, settings};

fn weights() -> (Config, Weights) {
    let folder = goldens().join("grouped/checkpoint");
    let config = Config::open(&folder).unwrap();
    let weights = Weights::open(&folder, &config, DType::F32, &Device::Cpu).unwrap();
    (config, weights)
}

fn frozen() -> (VideoLlama3, Frozen) {
    let (config, weights) = weights();
    let model = VideoLlama3::new(config, &weights, None).unwrap();
    let frozen = Frozen::of(&model, &weights).unwrap();
    (model, frozen)
}

fn with_disk(disk: &Path) -> Settings {
    Settings {
        frozen: Some(frozen().1),
        disk: Some(Disk {
            folder: disk.to_owned(),
            most_bytes: u64::MAX,
        }),
        ..settings(0, 4)
    }
}

fn open(videos: &Path, settings: Settings) -> Feed {
    let mut records: Vec<_> = ["0.mp4", "1.mp4", "2.mp4"]
        .map(|name| record(videos, name, Some(name)))
        .into();
    records.push(train::data::Record {
        image: Some(videos.join("i.png")),
        ..record(videos, "image", None)
    });
    feed(&records, settings)
}

type Said = (String, Vec<u32>, Vec<Vec<u32>>);

/// All examples, and what it took.
fn all(feed: &Feed) -> (Vec<Said>, Counts) {
    let examples = (0..feed.len())
        .map(|i| said(&feed.example(i).unwrap()))
        .collect();
    (examples, feed.counts())
}

fn videos() -> tempfile::TempDir {
    let folder = films(3);
    film(
        folder.path(),
        "i.png",
        "testsrc=size=90x60:rate=1:duration=1",
    );
    folder
}

fn features(disk: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(disk)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "safetensors")
        })
        .collect();
    paths.sort();
    paths
}

#[test]
fn features_are_the_encoders_to_the_bit_recalled_or_not() {
    let videos = videos();
    let (model, _) = frozen();
    let patches = open(videos.path(), settings(0, 1));
    let disk = videos.path().join("disk");
    for recalled in [0, 4] {
        let feed = open(videos.path(), with_disk(&disk));
        for i in 0..4 {
            let (plain, frozen) = (patches.example(i).unwrap(), feed.example(i).unwrap());
            assert_eq!(plain.sequence, frozen.sequence);
            let Shown::Patches(input) = &plain.media[0] else {
                panic!("nothing is frozen")
            };
            let want = Shown::Features(Arc::new(model.features(input).unwrap()));
            assert_eq!(bits(&frozen.media[0]), bits(&want));
        }
        assert_eq!(feed.counts().recalled, recalled);
    }
}

#[test]
fn a_later_run_needs_neither_decoder_nor_encoder() {
    let videos = videos();
    let disk = videos.path().join("disk");
    let (want, counts) = all(&open(videos.path(), with_disk(&disk)));
    assert_eq!((counts.decoded, counts.encoded, counts.recalled), (4, 4, 0));
    let mut settings = with_disk(&disk);
    settings.decoder.ffmpeg = "/nowhere/ffmpeg".into();
    settings.decoder.ffprobe = "/nowhere/ffprobe".into();
    settings.threads = 2;
    let (found, counts) = all(&open(videos.path(), settings));
    assert_eq!((counts.decoded, counts.encoded, counts.recalled), (0, 0, 4));
    assert_eq!(found, want);
}

#[test]
fn a_copy_of_a_video_is_recalled_too() {
    let videos = videos();
    let disk = videos.path().join("disk");
    all(&open(videos.path(), with_disk(&disk)));
    std::fs::copy(videos.path().join("0.mp4"), videos.path().join("2.mp4")).unwrap();
    let (found, counts) = all(&open(videos.path(), with_disk(&disk)));
    assert_eq!((counts.decoded, counts.recalled), (0, 4));
    assert_eq!(found[0].2, found[2].2);
}

#[test]
fn other_weights_or_another_sampling_are_computed_anew() {
    let videos = videos();
    let disk = videos.path().join("disk");
    all(&open(videos.path(), with_disk(&disk)));
    let mut other = with_disk(&disk);
    other.frozen.as_mut().unwrap().fingerprint = "other".into();
    assert_eq!(all(&open(videos.path(), other)).1.recalled, 0);
    let mut other = with_disk(&disk);
    other.sampling = video::Sampling::Uniform { frames: 2 };
    assert_eq!(all(&open(videos.path(), other)).1.recalled, 0);
}

#[test]
fn a_fingerprint_is_that_of_the_vision_weights_alone() {
    let (config, weights) = weights();
    let print = |weights: &Weights| {
        let model = VideoLlama3::new(config.clone(), weights, None).unwrap();
        Frozen::of(&model, weights).unwrap().fingerprint
    };
    let change = |part: &str| {
        let (changed, variables) = weights
            .clone()
            .into_trainable(|name| name.contains(part))
            .unwrap();
        for variable in variables.values() {
            variable
                .set(&(variable.as_tensor() + 1.0).unwrap())
                .unwrap();
        }
        print(&changed)
    };
    assert_eq!(change("language_model.norm"), print(&weights));
    assert_ne!(change("vision_model"), print(&weights));
    assert_ne!(change("projector"), print(&weights));
}

#[test]
fn what_a_killed_run_left_half_written_is_computed_anew() {
    let videos = videos();
    let disk = videos.path().join("disk");
    let (want, _) = all(&open(videos.path(), with_disk(&disk)));
    let paths = features(&disk);
    let whole = std::fs::read(&paths[0]).unwrap();
    std::fs::write(&paths[0], &whole[..whole.len() / 2]).unwrap();
    std::fs::remove_file(&paths[1]).unwrap();
    std::fs::write(paths[1].with_extension("1-0.tmp"), &whole[..9]).unwrap();
    let probes = disk.join("probes.jsonl");
    let lines = std::fs::read(&probes).unwrap();
    std::fs::write(&probes, &lines[..lines.len() - 30]).unwrap();
    let (found, counts) = all(&open(videos.path(), with_disk(&disk)));
    assert_eq!((counts.encoded, counts.recalled), (2, 2));
    assert_eq!(found, want);
    assert_eq!(all(&open(videos.path(), with_disk(&disk))).1.recalled, 4);
}

#[test]
fn an_encoder_that_panics_is_an_error_of_the_record() {
    let videos = videos();
    let mut settings = with_disk(&videos.path().join("disk"));
    settings.threads = 1;
    settings.frozen.as_mut().unwrap().encode = Arc::new(|_| panic!("on purpose"));
    let feed = open(videos.path(), settings);
    feed.ahead(&[0, 1]);
    let error = loop {
        // Whoever makes it panics; here it shall be the background thread.
        let asked = std::panic::AssertUnwindSafe(|| feed.example(0));
        if let Ok(result) = std::panic::catch_unwind(asked) {
            break result.unwrap_err().to_string();
        }
    };
    assert!(error.contains("record 0.mp4"), "{error}");
}
