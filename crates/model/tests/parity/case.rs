//! A golden case: prompts and media, and what the reference made of them.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use model::sequence::AlarmPositions;
use model::{Alarm, Config, MediaKind, Sequence, VideoLlama3, VisionInput};
use serde_json::Value;

pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// One case: a batch of prompts with what the reference made of it.
pub(crate) struct Case {
    pub json: Value,
    pub tensors: HashMap<String, Tensor>,
    pub network: VideoLlama3,
}

impl Case {
    pub(crate) fn open(folder: &str, case: &str) -> Self {
        let root = goldens();
        let json = std::fs::read_to_string(root.join(folder).join(format!("{case}.json"))).unwrap();
        let load = |folder: &str| {
            let path = root.join(folder).join(format!("{case}.safetensors"));
            candle_core::safetensors::load(path, &Device::Cpu).unwrap()
        };
        // The alarm cases are the sharded ones with alarm tokens: same patches.
        let mut tensors = if folder == "alarm" {
            load("sharded")
        } else {
            HashMap::new()
        };
        tensors.extend(load(folder));
        let network = if folder == "alarm" {
            let checkpoint = root.join("sharded/checkpoint");
            let config = Config::open(&checkpoint).unwrap();
            let weights =
                model::Weights::open(&checkpoint, &config, DType::F32, &Device::Cpu).unwrap();
            let width = config.text.hidden_size;
            let alarm = Alarm::open(&root.join(folder), width, DType::F32, &Device::Cpu).unwrap();
            VideoLlama3::new(config, &weights, alarm).unwrap()
        } else {
            VideoLlama3::open(
                &root.join(folder).join("checkpoint"),
                DType::F32,
                &Device::Cpu,
            )
            .unwrap()
        };
        Self {
            json: serde_json::from_str(&json).unwrap(),
            tensors,
            network,
        }
    }

    pub(crate) fn prompts(&self) -> &[Value] {
        self.json["prompts"].as_array().unwrap()
    }

    /// The vision inputs of the batch by the golden's names, patches from the golden's bytes.
    pub(crate) fn vision(&self, folder: &str) -> Vec<(String, VisionInput)> {
        let of = |entry: &Value| {
            let name = entry["name"].as_str().unwrap().to_owned();
            let size = |value: &Value| value.as_u64().unwrap() as usize;
            let grid: Vec<usize> = entry["grid"].as_array().unwrap().iter().map(size).collect();
            let pixels = self.tensors[&format!("{name}.pixels")]
                .flatten_all()
                .unwrap()
                .to_vec1::<u8>()
                .unwrap();
            let original = |x: u8| ((f64::from(x) * (1.0 / 255.0)) as f32 - 0.5) / 0.5;
            let port = |x: u8| (f32::from(x) - 127.5) / 127.5;
            let input = VisionInput {
                kind: if grid[0] > 1 || name.starts_with("video") {
                    MediaKind::Video
                } else {
                    MediaKind::Image
                },
                pixel_values: pixels
                    .into_iter()
                    .map(|x| {
                        if folder == "original" {
                            original(x)
                        } else {
                            port(x)
                        }
                    })
                    .collect(),
                patch_dim: 588,
                grid: [grid[0], grid[1], grid[2]],
                merge: size(&entry["merge"]),
                keep: entry["keep"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|keep| keep.as_u64() == Some(1))
                    .collect(),
            };
            (name, input)
        };
        self.json["vision"]
            .as_array()
            .unwrap()
            .iter()
            .map(of)
            .collect()
    }

    /// The sequence of each prompt with the vision inputs that it shows, in order.
    pub(crate) fn sequences(&self, folder: &str) -> Vec<(Sequence, Vec<VisionInput>)> {
        let mut all = self.vision(folder);
        let ids = [
            self.network.config().image_token_id,
            self.network.config().video_token_id,
        ];
        let of = |prompt: &Value| {
            let input_ids: Vec<u32> = prompt["input_ids"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_u64().unwrap() as u32)
                .collect();
            let mut places = (0..input_ids.len()).filter(|&i| ids.contains(&input_ids[i]));
            let mut vision = Vec::new();
            let mut media = Vec::new();
            for medium in prompt["media"].as_array().unwrap() {
                let kind = medium["kind"].as_str().unwrap();
                let next = all
                    .iter()
                    .position(|(name, _)| name.starts_with(kind) || name.starts_with("medium"));
                let (_, input) = all.remove(next.unwrap());
                let taken: Vec<usize> = places.by_ref().take(input.tokens_after()).collect();
                assert_eq!(taken.len(), input.tokens_after());
                vision.push(runs(&taken));
                media.push(input);
            }
            let alarm = self.json.get("alarm").map(|alarm| AlarmPositions {
                visual: alarm["visual"].as_u64().unwrap() as usize,
                textual: alarm["textual"].as_u64().unwrap() as usize,
            });
            (
                Sequence {
                    prompt: String::new(),
                    input_ids,
                    vision,
                    alarm,
                    labels: None,
                },
                media,
            )
        };
        self.prompts().iter().map(of).collect()
    }

    pub(crate) fn embeddings(&self, folder: &str) -> Vec<Tensor> {
        self.sequences(folder)
            .iter()
            .map(|(sequence, media)| {
                let features: Vec<Tensor> = media
                    .iter()
                    .map(|input| self.network.features(input).unwrap())
                    .collect();
                self.network.embed(sequence, &features).unwrap()
            })
            .collect()
    }
}

/// Runs of consecutive positions.
fn runs(places: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for &place in places {
        match runs.last_mut() {
            Some(run) if run.end == place => run.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}
