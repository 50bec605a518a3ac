//! A small benchmark and a scripted model, shared by the tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bench::evaluate::{Parties, evaluate};
use bench::format::{Manifest, write};
use bench::frames::FrameSource;
use bench::judge::{RuleJudge, judge_all};
use bench::score::{Scored, score};
use bench::{Benchmark, Condition, Record, Results, Run, Settings};
use chat::scripted::{Scripted, fails, says};
use chat::{ChatError, ChatRequest, Generation, Reply};
use safety::{Labels, Language, SafetyLabel, Sample, Subset, VideoRef};
use video::{Clip, Frame, Sampling, Seconds};

/// Calls of the model in one epoch: six samples without a video, five with one.
pub(crate) const CALLS: usize = 11;

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
    Scripted::new(script)
}

pub(crate) fn script(request: &ChatRequest) -> Result<Reply, ChatError> {
    if request.id == "SH-1" && !request.media.is_empty() {
        return fails(request, "no memory");
    }
    let harmful = !request.id.starts_with("SafeQ");
    Ok(says(if harmful && request.media.is_empty() {
        REFUSAL
    } else {
        "A blue ring!"
    }))
}

/// Gives every sample two grey frames, without any decoding, and counts; one video cannot be read, and
/// one takes the decoder with it.
#[derive(Default)]
pub(crate) struct Stills {
    pub unreadable: Option<&'static str>,
    pub panics: Option<&'static str>,
    pub decoded: AtomicUsize,
}

impl FrameSource for Stills {
    fn frames(&self, sample: &Sample, path: &Path) -> Result<Clip, String> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        if self.unreadable == Some(sample.id.as_str()) {
            return Err(format!("{} is cut short", path.display()));
        }
        assert!(self.panics != Some(sample.id.as_str()), "a bug");
        let frame = |seconds: u8| Frame {
            width: 2,
            height: 2,
            rgb: vec![100 + seconds; 12],
            seconds: Seconds(f64::from(seconds)),
        };
        let source_sha256 = sample.video.as_ref().unwrap().sha256.clone();
        Ok(Clip {
            frames: vec![frame(0), frame(1)],
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

/// A folder with the benchmark and any number of runs.
pub(crate) struct World {
    pub folder: tempfile::TempDir,
    pub benchmark: Benchmark,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let benchmark = benchmark(&folder.path().join("benchmark"));
        Self { folder, benchmark }
    }

    pub(crate) fn place(&self, run: &str) -> PathBuf {
        self.folder.path().join(run)
    }

    pub(crate) fn begin(&self, run: &str, epochs: u32) -> bench::Result<Run> {
        Run::begin(
            &self.place(run),
            settings(&self.benchmark, epochs),
            &self.benchmark,
        )
    }

    /// Asks what is open.
    pub(crate) fn ask(&self, run: &Run, model: &Scripted) -> bench::Result<Vec<Record>> {
        self.ask_with(run, model, Stills::default())
    }

    pub(crate) fn ask_with(
        &self,
        run: &Run,
        model: &Scripted,
        stills: impl FrameSource + 'static,
    ) -> bench::Result<Vec<Record>> {
        let frames = Arc::new(stills);
        let parties = Parties { model, frames };
        block_on(evaluate(run, &self.benchmark, parties, &|_| ()))
    }

    /// Runs or resumes everything, and scores it.
    pub(crate) fn run(&self, run: &str, model: &Scripted, epochs: u32) -> (Vec<Record>, Results) {
        let run = self.begin(run, epochs).unwrap();
        let records = self.ask(&run, model).unwrap();
        let results = scored(&run, &records);
        (records, results)
    }

    /// The bytes of a file of a run.
    pub(crate) fn read(&self, run: &str, file: &str) -> Vec<u8> {
        std::fs::read(self.place(run).join(file)).unwrap()
    }
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
