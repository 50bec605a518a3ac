//! The tiny VideoLLaMA3 of the goldens and its two training samples, from
//! `fixtures/model_training.py`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use model::{Config, MediaKind, Sequence, VideoLlama3, VisionInput, Weights};
use serde_json::Value;
use train::Parameters;
use train::forward::{Example, Shown};
use train::loss::next_token::target_count;
use train::step::Item;

pub(crate) fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/goldens")
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(goldens().join(name)).unwrap()).unwrap()
}

pub(crate) fn tensors(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(goldens().join(name), &Device::Cpu).unwrap()
}

pub(crate) fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(read).collect()
}

pub(crate) fn index(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

pub(crate) struct Golden {
    pub(crate) training: Value,
    pub(crate) checkpoint: PathBuf,
    pub(crate) weights: Weights,
    pub(crate) model: VideoLlama3,
    pub(crate) parameters: Parameters,
    pub(crate) examples: Vec<Arc<Example>>,
}

/// With the weights that `trainable` picks as variables.
pub(crate) fn golden(trainable: impl Fn(&str) -> bool) -> Golden {
    let training = json("training/training.json");
    let folder = training["checkpoint"].as_str().unwrap();
    let checkpoint = goldens().join(folder).join("checkpoint");
    let config = Config::open(&checkpoint).unwrap();
    let weights = Weights::open(&checkpoint, &config, DType::F32, &Device::Cpu).unwrap();
    let (weights, parameters) = weights.into_trainable(trainable).unwrap();
    let examples = list(&training["samples"], |sample| {
        Arc::new(example(folder, sample, &config))
    });
    let model = VideoLlama3::new(config, &weights, None).unwrap();
    Golden {
        training,
        checkpoint,
        weights,
        model,
        parameters,
        examples,
    }
}

/// What the loop knows of examples.
pub(crate) fn items(examples: &[Arc<Example>]) -> Vec<Item> {
    let item = |example: &Arc<Example>| Item {
        id: example.id.clone(),
        size: example.size(),
        targets: target_count(example.sequence.labels.as_deref().unwrap_or_default()),
        ..Item::default()
    };
    examples.iter().map(item).collect()
}

pub(crate) fn example(folder: &str, sample: &Value, config: &Config) -> Example {
    let case = sample["case"].as_str().unwrap();
    let media = media(folder, case);
    let input_ids = list(&sample["input_ids"], |id| index(id) as u32);
    let sequence = Sequence {
        prompt: String::new(),
        vision: spans(&input_ids, config),
        labels: Some(list(&sample["labels"], |label| {
            u32::try_from(label.as_i64().unwrap()).ok()
        })),
        input_ids,
        alarm: None,
    };
    Example {
        id: case.to_owned(),
        sequence,
        media,
    }
}

/// What a case of the checkpoint `folder` shows.
pub(crate) fn media(folder: &str, case: &str) -> Vec<Shown> {
    let described = json(&format!("{folder}/{case}.json"));
    let values = tensors(&format!("{folder}/{case}.safetensors"));
    list(&described["vision"], |vision| {
        let name = vision["name"].as_str().unwrap();
        let input = vision_input(vision, &values[&format!("{name}.pixels")]);
        Shown::Patches(Arc::new(input))
    })
}

pub(crate) fn vision_input(vision: &Value, pixels: &Tensor) -> VisionInput {
    let (_, patch_dim) = pixels.dims2().unwrap();
    let bytes = pixels.flatten_all().unwrap().to_vec1::<u8>().unwrap();
    let name = vision["name"].as_str().unwrap();
    VisionInput {
        kind: if name.starts_with("video") {
            MediaKind::Video
        } else {
            MediaKind::Image
        },
        pixel_values: bytes
            .iter()
            .map(|&byte| (f32::from(byte) - 127.5) / 127.5)
            .collect(),
        patch_dim,
        grid: list(&vision["grid"], index).try_into().unwrap(),
        merge: index(&vision["merge"]),
        keep: list(&vision["keep"], |keep| index(keep) == 1),
    }
}

/// Runs of placeholders, all of one medium.
pub(crate) fn spans(ids: &[u32], config: &Config) -> Vec<Vec<std::ops::Range<usize>>> {
    let is_vision = |id: u32| id == config.image_token_id || id == config.video_token_id;
    let mut spans = Vec::new();
    let mut start = None;
    for (i, &id) in ids.iter().enumerate() {
        match (is_vision(id), start) {
            (true, None) => start = Some(i),
            (false, Some(from)) => {
                spans.push(from..i);
                start = None;
            }
            _ => {}
        }
    }
    vec![spans]
}
