//! A folder with a film, records about it and about nothing, and chains that run there.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use train::recipe::Recipe;
use train::reward::settings::Endpoint;
use train::reward::{Judged, Reward};
use train::stages::chain::{Chain, Endpoints, Told};
use train::{BoxError, Error};

pub(crate) fn checkpoint() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/goldens/grouped/checkpoint")
}

/// Data in a folder of its own.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
}

const REFERENCE: &str = "<think>t</think>\\n<answer>It is red.</answer>\\n<vidType>0</vidType>\\n<textType>1</textType>";

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-nostdin", "-y", "-f", "lavfi", "-i"])
            .arg("testsrc=size=56x56:rate=4:duration=1")
            .args(["-pix_fmt", "yuv420p"])
            .arg(folder.path().join("v.mp4"))
            .status()
            .unwrap();
        assert!(status.success());
        let world = Self { folder };
        let queries = [
            "What happens?",
            "Is it red",
            "Say it in other words.",
            "Why",
        ];
        let lines = |tail: &dyn Fn(usize) -> String| -> Vec<String> {
            let line = |(i, query): (usize, &&str)| {
                let video = if i % 2 == 0 {
                    r#", "video": "v.mp4""#
                } else {
                    ""
                };
                let tail = tail(i);
                format!(r#"{{"id": "r{i}", "query": "{query}"{video}, {tail}}}"#)
            };
            queries.iter().enumerate().map(line).collect()
        };
        world.write(
            "learn.jsonl",
            &lines(&|i| {
                let label = i % 2;
                format!(
                    r#""answer": "It is {}.", "labels": {{"visual": {label}, "textual": {label}}}"#,
                    "red ".repeat(i + 1)
                )
            }),
        );
        world.write(
            "ask.jsonl",
            &lines(&|_| format!(r#""answer": "{REFERENCE}""#)),
        );
        let pair = |_| r#""answer": "No.", "rejected": "Yes, it is""#.to_owned();
        world.write("pairs.jsonl", &lines(&pair));
        world
    }

    pub(crate) fn write(&self, name: &str, lines: &[String]) {
        std::fs::write(self.folder.path().join(name), lines.join("\n")).unwrap();
    }

    /// A recipe over the tiny checkpoint; its paths begin at the folder.
    pub(crate) fn recipe(&self, stages: &str) -> Recipe {
        let text = format!("seed = 5\nmodel = '{}'\n{stages}", checkpoint().display());
        let mut recipe = Recipe::from_toml(&text).unwrap();
        recipe.relative_to(self.folder.path());
        recipe
    }
}

/// Of the kind `kind`, named after it, two steps of two micro-batches.
pub(crate) fn stage(kind: &str, file: &str, rest: &str) -> String {
    format!(
        "
[[stage]]
name = '{kind}'
kind = '{kind}'
data = [{{ file = '{file}' }}]
training = {{ length = {{ steps = 2 }}, batch = {{ samples = 1 }}, window = 1, accumulation = 2, learning_rate = 1e-2, warmup = {{ steps = 0 }}, schedule = 'constant' }}
{rest}
"
    )
}

/// Likes unlike letters: what no two completions have in the same number.
pub(crate) struct Letters;

impl Reward for Letters {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        let mut letters: Vec<char> = rollout.completion.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        Ok(letters.len() as f32 + rollout.completion.len() as f32 / 1000.0)
    }
}

/// Where to stop: a stage by its place, and a step of it.
pub(crate) type Place = Option<(usize, usize)>;

/// What a chain did.
pub(crate) struct Done {
    /// Nothing if it was broken off.
    pub(crate) model: Option<PathBuf>,
    /// Stages that ran, and that were kept.
    pub(crate) ran: Vec<usize>,
    pub(crate) kept: Vec<usize>,
    /// Steps by stage, with what they said.
    pub(crate) steps: Vec<(usize, train::events::Step)>,
}

/// Runs the stages of `recipe` in `out`, all or those for `only`, until `stop`.
pub(crate) fn run(
    recipe: &Recipe,
    out: &Path,
    only: Option<&str>,
    stop: Place,
) -> Result<Done, Error> {
    let endpoints = |_: &Endpoint| Ok(Box::new(Letters) as Box<dyn Reward>);
    run_with(recipe, out, (only, stop), &endpoints)
}

pub(crate) fn run_with(
    recipe: &Recipe,
    out: &Path,
    (only, stop): (Option<&str>, Place),
    endpoints: &Endpoints<'_>,
) -> Result<Done, Error> {
    let chain = Chain {
        recipe,
        folder: out,
        workers: NonZeroUsize::new(2).unwrap(),
        endpoints,
        versions: BTreeMap::new(),
    };
    let mut done = Done {
        model: None,
        ran: Vec::new(),
        kept: Vec::new(),
        steps: Vec::new(),
    };
    let model = chain.run(only, &mut |told| {
        match told {
            Told::Stage { index, .. } => done.ran.push(index),
            Told::Kept { index, .. } => done.kept.push(index),
            Told::Step(progress) => {
                let stage = *done.ran.last().unwrap();
                done.steps.push((stage, progress.step.clone()));
                if stop == Some((stage, progress.step.step)) {
                    return ControlFlow::Break(());
                }
            }
            Told::Read { .. } | Told::Ready(..) => {}
        }
        ControlFlow::Continue(())
    })?;
    done.model = model;
    Ok(done)
}

/// Every file below a folder by its path, without wall clocks: the events' seconds set to 0, no
/// TensorBoard, no cache.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "tensorboard" || name == "cache" {
            continue;
        }
        if path.is_dir() {
            let inner = files(&path).into_iter();
            found.extend(inner.map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let timeless = name == "events.jsonl";
            found.insert(
                name,
                if timeless {
                    without_clock(&bytes)
                } else {
                    bytes
                },
            );
        }
    }
    found
}

fn without_clock(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    let line = |line: &str| match line.split_once("\"seconds\":") {
        Some((before, _)) => format!("{before}\"seconds\":0}}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect::<String>().into_bytes()
}

#[track_caller]
pub(crate) fn same(found: &Path, want: &Path) {
    let (found, want) = (files(found), files(want));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&want));
    let differ = found.iter().filter(|(name, bytes)| *bytes != &want[*name]);
    let differ: Vec<_> = differ.map(|(name, _)| name).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

/// An error with all its causes.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
