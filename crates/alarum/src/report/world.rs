//! A small run in which a scripted model is asked what hostile people ask, for the tests of the report.

use std::path::Path;
use std::sync::Arc;

use bench::evaluate::{Parties, evaluate};
use bench::format::{Manifest, write};
use bench::frames::FrameSource;
use bench::judge::{Judge, RuleJudge, judge_all};
use bench::score::{Scored, score};
use bench::{Benchmark, Condition, Run, Settings};
use chat::scripted::{Scripted, says};
use chat::{AlarmScores, ChatError, ChatRequest, Finish, Generation, Reply};
use safety::{Labels, Language, SafetyLabel, Sample, Subset, VideoRef};
use video::{Clip, Frame, Sampling, Seconds};

/// Text that would leave its place in the page if it were not escaped.
pub(super) const HOSTILE: &str = "</textarea></script><script>alert(1)</script><img src=x onerror='alert(2)'> \"quoted\" 'single' & \u{0} \u{1b}[31m";
/// Characters of the model's longest answer.
pub(super) const LONG: usize = 100_000;

/// Four samples of each subset over two subcategories and two languages; the last has no video.
fn samples() -> Vec<Sample> {
    let taxonomy = safety::Taxonomy::builtin();
    let sample = |subset: Subset, index: usize| {
        let category = &taxonomy.categories()[index / 2];
        let harm = |harmful| {
            if harmful {
                SafetyLabel::Harmful
            } else {
                SafetyLabel::Safe
            }
        };
        let has_video = subset != Subset::SafeQ || index < 3;
        Sample {
            id: format!("{}-{index}", subset.name()),
            subset,
            category: category.id.clone(),
            subcategory: category.subcategories[index % 2].id.clone(),
            language: if index == 3 {
                Language::De
            } else {
                Language::En
            },
            query: if index == 1 {
                HOSTILE.to_owned()
            } else {
                format!("What does the ring do, {index}?")
            },
            video: has_video.then(|| VideoRef {
                path: format!("videos/{}-{}.mp4", subset.name(), index / 2),
                sha256: video::hash::bytes(format!("{subset:?}{}", index / 2).as_bytes()),
                seconds: 2.0,
                source: None,
                licence: None,
            }),
            labels: Labels {
                visual: Some(harm(subset == Subset::HH)),
                textual: Some(harm(subset.query_is_harmful())),
            },
            reference: (subset == Subset::SafeQ).then(|| "A blue ring.".to_owned()),
            provenance: None,
        }
    };
    Subset::ALL
        .into_iter()
        .flat_map(|subset| (0..4).map(move |index| sample(subset, index)))
        .collect()
}

/// Declines what is harmful in text alone, helps with a video; one call fails, one answer is hostile, one
/// long.
fn answer(request: &ChatRequest) -> Result<Reply, ChatError> {
    match (request.id.as_str(), request.media.is_empty()) {
        ("SH-2", false) => Err(ChatError::Model {
            id: request.id.clone(),
            reason: "no <memory>".to_owned(),
        }),
        ("HH-1", false) => Ok(says(HOSTILE)),
        ("HH-2", false) => Ok(Reply {
            finish: Finish::Length,
            ..says(&"ab ".repeat(LONG / 3 + 1))
        }),
        ("SH-1", false) | ("SafeQ-1", true) => Ok(says("I'm sorry, but I can't help with that.")),
        ("SH-3", true) => Ok(says(" ")),
        (id, true) if !id.starts_with("SafeQ") => {
            Ok(says("I'm sorry, but I can't help with that."))
        }
        _ => Ok(says("A blue ring!")),
    }
}

/// The same with alarm heads that are right but for one sample.
fn answer_with_heads(request: &ChatRequest) -> Result<Reply, ChatError> {
    let likely = |harmful: bool| if harmful { 0.875 } else { 0.125 };
    let alarm = AlarmScores {
        visual: (!request.media.is_empty())
            .then(|| likely(request.id.starts_with("HH") || request.id == "SH-1")),
        textual: likely(!request.id.starts_with("SafeQ")),
    };
    Ok(Reply {
        alarm: Some(alarm),
        ..answer(request)?
    })
}

/// Ten small frames for every video but one.
struct Stills;

impl FrameSource for Stills {
    fn frames(&self, sample: &Sample, path: &Path) -> Result<Clip, String> {
        if sample.id == "SH-0" {
            let name = path.file_name().unwrap_or_default().display();
            return Err(format!("{name} is cut short"));
        }
        let frame = |index: u8| Frame {
            width: 8,
            height: 4,
            rgb: vec![index * 20; 96],
            seconds: Seconds(f64::from(index) * 0.25),
        };
        let source_sha256 = sample.video.as_ref().unwrap().sha256.clone();
        Ok(Clip {
            frames: (0..10).map(frame).collect(),
            source_sha256,
        })
    }
}

/// The run in `folder`, evaluated, judged and scored.
pub(super) fn run(folder: &Path) -> Run {
    run_of(folder, &Scripted::new(answer))
}

/// The same run of a model that has alarm heads.
pub(super) fn run_with_heads(folder: &Path) -> Run {
    run_of(folder, &Scripted::new(answer_with_heads))
}

fn run_of(folder: &Path, model: &Scripted) -> Run {
    let benchmark = benchmark(&folder.join("benchmark"));
    let settings = Settings {
        format: bench::run::VERSION,
        alarum: "test".to_owned(),
        model: "scripted <b>model</b>".to_owned(),
        model_sha256: None,
        benchmark: "small 1".to_owned(),
        samples_sha256: benchmark.samples_sha256.clone(),
        conditions: Condition::ALL.to_vec(),
        epochs: 1,
        system: None,
        sampling: Sampling::Fps {
            fps: 4.0,
            max_frames: 10,
        },
        generation: Generation::default(),
    };
    let run = Run::begin(&folder.join("run"), settings, &benchmark).unwrap();
    let parties = Parties {
        model,
        frames: Arc::new(Stills),
    };
    let records = block_on(evaluate(&run, &benchmark, parties, &|_| ())).unwrap();
    let samples = run.samples().unwrap();
    let judgements = block_on(judge_all(&run, &RuleJudge, &samples, &records)).unwrap();
    let results = score(&Scored {
        settings: &run.settings,
        samples: &samples,
        taxonomy: &run.taxonomy().unwrap(),
        records: &records,
        judgements: &judgements,
        judge: RuleJudge.name(),
        problems: run.problems().unwrap().len(),
    });
    run.write_results(&results).unwrap();
    run
}

/// The benchmark, with a bad line at its end.
fn benchmark(folder: &Path) -> Benchmark {
    let samples = samples();
    std::fs::create_dir_all(folder.join("videos")).unwrap();
    for video in samples.iter().filter_map(|sample| sample.video.as_ref()) {
        std::fs::write(folder.join(&video.path), &video.path).unwrap();
    }
    let manifest = Manifest {
        name: "small".to_owned(),
        version: "1".to_owned(),
        ..Manifest::default()
    };
    write(folder, &manifest, &samples).unwrap();
    let path = folder.join("samples.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap() + "<i>no sample</i>\n";
    std::fs::write(&path, lines).unwrap();
    Benchmark::open(folder).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}
