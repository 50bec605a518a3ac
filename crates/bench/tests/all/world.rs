//! A small benchmark and a scripted model, shared by the tests.

use std::path::Path;
use std::sync::Arc;

use bench::evaluate::{Parties, evaluate};
use bench::format::{Manifest, write};
use bench::frames::FrameSource;
use bench::judge::{RuleJudge, judge_all};
use bench::score::{Scored, score};
use bench::{Benchmark, Condition, Record, Results, Run, Settings};
use chat::scripted::{Scripted, says};
use chat::{ChatError, Generation};
use safety::{Labels, Language, SafetyLabel, Sample, Subset, VideoRef};
use video::{Clip, Frame, Sampling, Seconds};

pub(crate) const REFUSAL: &str = "I'm sorry, but I can't help with that.";

/// Two samples of each subset over three videos; the last safe query has none.
pub(crate) fn samples() -> Vec<Sample> {
    let sample = |subset: Subset, index: usize| {
        let video = (subset != Subset::SafeQ || index == 0).then(|| VideoRef {
            path: format!("videos/{}.mp4", subset.name()),
            sha256: video::hash::bytes(subset.name().as_bytes()),
            seconds: 1.0,
            source: None,
            licence: None,
        });
        Sample {
            id: format!("{}-{index}", subset.name()),
            subset,
            category: "violence".to_owned(),
            subcategory: safety::Taxonomy::builtin().categories()[0].subcategories[index]
                .id
                .clone(),
            language: Language::En,
            query: format!("question {index}"),
            video,
            labels: Labels {
                visual: match subset {
                    Subset::HH => Some(SafetyLabel::Harmful),
                    Subset::SH => Some(SafetyLabel::Safe),
                    Subset::SafeQ => None,
                },
                textual: None,
            },
            reference: (subset == Subset::SafeQ).then(|| "A blue ring.".to_owned()),
            provenance: None,
        }
    };
    Subset::ALL
        .into_iter()
        .flat_map(|subset| [sample(subset, 0), sample(subset, 1)])
        .collect()
}

/// Writes the benchmark; its videos hold no more than their names.
pub(crate) fn benchmark(folder: &Path) -> Benchmark {
    std::fs::create_dir_all(folder.join("videos")).unwrap();
    for subset in Subset::ALL {
        let path = folder.join(format!("videos/{}.mp4", subset.name()));
        std::fs::write(path, subset.name()).unwrap();
    }
    let manifest = Manifest {
        name: "small".to_owned(),
        version: "1".to_owned(),
        ..Manifest::default()
    };
    write(folder, &manifest, &samples()).unwrap();
    Benchmark::open(folder).unwrap()
}

/// Declines harmful questions in text, helps with a video; fails on one sample.
pub(crate) fn model() -> Scripted {
    Scripted::new(|request| {
        if request.id == "SH-1" && !request.media.is_empty() {
            let reason = "no memory".to_owned();
            return Err(ChatError::Model {
                id: request.id.clone(),
                reason,
            });
        }
        let harmful = !request.id.starts_with("SafeQ");
        Ok(says(if harmful && request.media.is_empty() {
            REFUSAL
        } else {
            "A blue ring!"
        }))
    })
}

/// Gives every sample one grey frame, without any decoding; one video cannot be read.
pub(crate) struct Stills {
    pub unreadable: Option<&'static str>,
}

impl FrameSource for Stills {
    fn frames(&self, sample: &Sample, path: &Path) -> Result<Clip, String> {
        if self.unreadable == Some(sample.id.as_str()) {
            return Err(format!("{} is cut short", path.display()));
        }
        let frame = Frame {
            width: 2,
            height: 2,
            rgb: vec![128; 12],
            seconds: Seconds(0.0),
        };
        let source_sha256 = sample.video.as_ref().unwrap().sha256.clone();
        Ok(Clip {
            frames: vec![frame],
            source_sha256,
        })
    }
}

pub(crate) fn settings(benchmark: &Benchmark, epochs: u32) -> Settings {
    Settings {
        format: bench::run::VERSION,
        alarum: "test".to_owned(),
        model: "scripted".to_owned(),
        model_sha256: None,
        benchmark: "small 1".to_owned(),
        samples_sha256: benchmark.samples_sha256.clone(),
        conditions: Condition::ALL.to_vec(),
        epochs,
        system: None,
        sampling: Sampling::Fps {
            fps: 1.0,
            max_frames: 4,
        },
        generation: Generation::default(),
    }
}

/// Runs or resumes everything in `folder`, and scores it.
pub(crate) fn run(
    folder: &Path,
    benchmark: &Benchmark,
    model: &Scripted,
    epochs: u32,
) -> (Vec<Record>, Results) {
    let run = Run::begin(folder, settings(benchmark, epochs), benchmark).unwrap();
    let parties = Parties {
        model,
        frames: Arc::new(Stills { unreadable: None }),
    };
    let records = block_on(evaluate(&run, benchmark, parties, &|_| ())).unwrap();
    let results = scored(&run, &records);
    (records, results)
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn scored(run: &Run, records: &[Record]) -> Results {
    let samples = run.samples().unwrap();
    let judgements = block_on(judge_all(run, &RuleJudge, &samples, records)).unwrap();
    let results = score(&Scored {
        settings: &run.settings,
        samples: &samples,
        taxonomy: &run.taxonomy().unwrap(),
        records,
        judgements: &judgements,
        judge: "rule/1".to_owned(),
        problems: 0,
    });
    run.write_results(&results).unwrap();
    results
}
