//! Real video files through `ffmpeg`, good ones and broken ones.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bench::evaluate::{Parties, evaluate};
use bench::format::{Manifest, write};
use bench::frames::Decoded;
use bench::{Benchmark, Condition, Record, Run, thumbnails};
use safety::{Outcome, Sample, Subset};
use video::Decoder;

use crate::world::{block_on, model, samples, settings};

/// Two seconds of colours.
fn film(path: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .args(["testsrc=duration=2:size=64x48:rate=5", "-y"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// A benchmark whose HH video is good, whose SH video is what `spoil` makes of it.
fn benchmark(folder: &Path, spoil: impl Fn(&Path)) -> Benchmark {
    std::fs::create_dir_all(folder.join("videos")).unwrap();
    let (good, other) = (folder.join("videos/HH.mp4"), folder.join("videos/SH.mp4"));
    film(&good);
    std::fs::copy(&good, &other).unwrap();
    spoil(&other);
    let mut samples: Vec<Sample> = samples();
    samples.retain(|sample| sample.subset != Subset::SafeQ);
    for sample in &mut samples {
        let video = sample.video.as_mut().unwrap();
        video.sha256 = video::hash::file(&folder.join(&video.path)).unwrap();
    }
    write(folder, &Manifest::default(), &samples).unwrap();
    Benchmark::open(folder).unwrap()
}

fn ask(folder: &Path, benchmark: &Benchmark) -> (Run, Vec<Record>) {
    let settings = settings(benchmark, 1);
    let parties = Parties {
        model: &model(),
        frames: Arc::new(Decoded {
            decoder: Decoder::default(),
            sampling: settings.sampling,
        }),
    };
    let run = Run::begin(folder, settings, benchmark).unwrap();
    let records = block_on(evaluate(&run, benchmark, parties, &|_| ())).unwrap();
    (run, records)
}

fn shown<'a>(records: &'a [Record], subset: Subset) -> Vec<&'a Record> {
    let wanted = |r: &&'a Record| r.subset == subset && r.condition == Condition::WithVideo;
    records.iter().filter(wanted).collect()
}

#[test]
fn a_film_is_sampled_hashed_and_pictured() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"), |_| ());
    let (run, records) = ask(&folder.path().join("run"), &benchmark);
    let seen = &shown(&records, Subset::HH)[0].frames;
    assert_eq!(
        seen.iter().map(|f| f.seconds).collect::<Vec<_>>(),
        [0.0, 1.0]
    );
    assert_ne!(seen[0].sha256, seen[1].sha256);
    let sha256 = &benchmark.samples[0].video.as_ref().unwrap().sha256;
    let pictures = thumbnails::folder(&run.frames_path(), sha256);
    for name in ["0.jpg", "1.jpg"] {
        let picture = image::open(pictures.join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), (64, 48));
    }
    assert_eq!(std::fs::read_dir(pictures).unwrap().count(), 2);
}

#[test]
fn a_film_that_is_no_film_costs_only_its_own_samples() {
    let folder = tempfile::tempdir().unwrap();
    let spoil = |path: &Path| std::fs::write(path, "no film").unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"), spoil);
    let (_, records) = ask(&folder.path().join("run"), &benchmark);
    for record in shown(&records, Subset::SH) {
        assert_eq!(record.outcome, Outcome::Error);
        assert!(record.error.as_ref().unwrap().contains("SH.mp4"));
    }
    let good = shown(&records, Subset::HH);
    assert!(good.iter().all(|record| record.outcome == Outcome::Answer));
}

#[test]
fn a_film_that_was_exchanged_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("benchmark");
    let benchmark = benchmark(&place, |_| ());
    let path = place.join("videos/SH.mp4");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(b"more");
    std::fs::write(&path, bytes).unwrap();
    let (_, records) = ask(&folder.path().join("run"), &benchmark);
    for record in shown(&records, Subset::SH) {
        let error = record.error.as_ref().unwrap();
        assert!(
            error.contains("is not the video of the benchmark"),
            "{error}"
        );
    }
}
