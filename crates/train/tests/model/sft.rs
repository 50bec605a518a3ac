//! A supervised run of the tiny model, from checkpoint folder to checkpoint folder.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Device};
use model::{Config, VideoLlama3, Weights};
use train::recipe::{Kind, Stage, Training};
use train::rounds::Plain;
use train::run::{Ended, Progress, Run, run};
use train::stages::folder::ModelFolder;
use train::stages::start::Start;
use train::stages::supervised::Supervised;

use crate::tiny::{Golden, golden, items};

const FROZEN: &str = "model.vision_model.";

fn stage() -> Stage {
    let text = "
        length = { steps = 4 }
        batch = { samples = 1 }
        accumulation = 2
        learning_rate = 1e-3
        warmup = { steps = 0 }
        checkpoint_every = 2
        frozen = ['model.vision_model.*']
    ";
    Stage {
        training: Training::from_toml(text).unwrap(),
        ..Stage::of(Kind::Sft, "unused.jsonl".into())
    }
}

/// Losses of the steps taken from a fresh start or the newest checkpoint, until step `last`.
fn train_until(folder: &Path, last: usize) -> (Ended, Vec<f32>) {
    let Golden {
        checkpoint,
        examples,
        ..
    } = golden(|_| false);
    let stage = stage();
    let start = Start::open(&checkpoint, &stage).unwrap();
    let network = start.network().unwrap();
    let supervised = Supervised {
        model: &network,
        examples: &examples,
        items: items(&examples),
        atc: None,
        recompute: false,
    };
    let artifacts = ModelFolder {
        source: &checkpoint,
        start: &start,
        renewed: None,
    };
    let it = Run {
        folder,
        training: &stage.training,
        recipe: serde_json::to_value(&stage).unwrap(),
        rounds: &Plain(supervised),
        parameters: &start.parameters,
        plan: &start.plan,
        artifacts: &artifacts,
        workers: NonZeroUsize::new(2).unwrap(),
        versions: BTreeMap::new(),
    };
    let mut losses = Vec::new();
    let mut progress = |progress: &Progress<'_>| {
        losses.push(progress.step.loss);
        match progress.step.step == last {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let ended = run(&it, &mut progress).unwrap();
    (ended, losses)
}

fn bytes(checkpoint: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(checkpoint).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn the_last_checkpoint_is_a_model_that_learnt_and_kept_what_was_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, losses) = train_until(folder.path(), usize::MAX);
    assert!(losses[3] < losses[0], "{losses:?}");
    let Ended::Complete { checkpoint } = ended else {
        panic!("{ended:?}")
    };
    VideoLlama3::open(&checkpoint, DType::F32, &Device::Cpu).unwrap();
    assert!(checkpoint.join("tokenizer.json").is_file());
    let config = Config::open(&checkpoint).unwrap();
    let after = Weights::open(&checkpoint, &config, DType::F32, &Device::Cpu).unwrap();
    let before: BTreeMap<_, _> = golden(|_| false)
        .weights
        .iter()
        .map(|(name, tensor)| {
            (
                name.to_owned(),
                tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            )
        })
        .collect();
    for (name, tensor) in after.iter() {
        let same = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap() == before[name];
        assert_eq!(same, name.starts_with(FROZEN), "{name}");
    }
}

#[test]
fn an_interrupted_run_of_the_model_ends_with_the_same_bytes() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train_until(whole.path(), usize::MAX);
    assert_eq!(train_until(parts.path(), 3).0, Ended::Stopped { step: 3 });
    let (_, losses) = train_until(parts.path(), usize::MAX);
    assert_eq!(losses.len(), 1, "goes on after step 3");
    let last = |folder: &tempfile::TempDir| bytes(&folder.path().join("checkpoint-4"));
    assert!(last(&whole) == last(&parts));
}
