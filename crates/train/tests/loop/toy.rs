//! A tiny language model of plain variables, and runs of it.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use train::checkpoint::Artifacts;
use train::loss::next_token::{Targets, next_token, target_count};
use train::order::Size;
use train::recipe::Training;
use train::rounds::{Plain, Rounds};
use train::run::{Ended, Progress, Run, run};
use train::step::{Item, Loss, Micro, Objective};
use train::{BoxError, Error, Parameters};

pub(crate) const VOCABULARY: usize = 11;
const WIDTH: usize = 8;

/// Token embeddings, a hidden layer, and the embeddings again as output layer.
pub(crate) struct Toy {
    pub(crate) parameters: Parameters,
    pub(crate) items: Vec<Item>,
    pub(crate) sequences: Vec<Vec<u32>>,
    pub(crate) workers: NonZeroUsize,
}

/// A number in -1..1 that depends on `i` as if by chance.
pub(crate) fn noise(i: usize) -> f32 {
    let x = (i as f64 * 12.9898 + 4.1414).sin() * 43758.5453;
    ((x - x.floor()) * 2.0 - 1.0) as f32
}

pub(crate) fn variable(dims: &[usize], seed: usize, scale: f32) -> Var {
    let count: usize = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|i| noise(seed * 7919 + i) * scale).collect();
    Var::from_tensor(&Tensor::from_vec(values, dims, &Device::Cpu).unwrap()).unwrap()
}

impl Toy {
    pub(crate) fn new(samples: usize) -> Self {
        let parameters = BTreeMap::from([
            (
                "embed.weight".to_owned(),
                variable(&[VOCABULARY, WIDTH], 1, 0.5),
            ),
            ("hidden.bias".to_owned(), variable(&[WIDTH], 2, 0.1)),
            (
                "hidden.weight".to_owned(),
                variable(&[WIDTH, WIDTH], 3, 0.5),
            ),
        ]);
        let sequences: Vec<Vec<u32>> = (0..samples)
            .map(|i| {
                (0..3 + i * 5 % 7)
                    .map(|k| ((i + k * k) % VOCABULARY) as u32)
                    .collect()
            })
            .collect();
        let items = sequences
            .iter()
            .enumerate()
            .map(|(i, sequence)| Item {
                id: format!("sample-{i}"),
                size: Size {
                    tokens: sequence.len(),
                    patches: 0,
                },
                targets: target_count(&labels(sequence)),
                ..Item::default()
            })
            .collect();
        Self {
            parameters,
            items,
            sequences,
            workers: NonZeroUsize::MIN,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let values = self.parameters.values();
        values
            .flat_map(|v| v.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .flat_map(f32::to_le_bytes)
            .collect()
    }

    fn hidden(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        let embedded =
            self.parameters["embed.weight"].embedding(&Tensor::new(ids, &Device::Cpu)?)?;
        embedded
            .matmul(&self.parameters["hidden.weight"])?
            .broadcast_add(&self.parameters["hidden.bias"])?
            .tanh()
    }
}

/// The first two tokens are a prompt.
fn labels(sequence: &[u32]) -> Vec<Option<u32>> {
    sequence
        .iter()
        .enumerate()
        .map(|(i, &token)| (i >= 2).then_some(token))
        .collect()
}

impl Objective for Toy {
    fn items(&self) -> &[Item] {
        &self.items
    }

    fn loss(&self, batch: &[usize], micro: Micro) -> Result<Loss, BoxError> {
        let sequences: Vec<_> = batch.iter().map(|&i| &self.sequences[i]).collect();
        let longest = sequences
            .iter()
            .map(|s| s.len())
            .max()
            .ok_or("an empty batch")?;
        let padded: Vec<u32> = sequences
            .iter()
            .flat_map(|s| s.iter().copied().chain(std::iter::repeat(0)).take(longest))
            .collect();
        let hidden = self
            .hidden(&padded)?
            .reshape((batch.len(), longest, WIDTH))?;
        let labels: Vec<_> = sequences.iter().map(|s| labels(s)).collect();
        let targets = Targets::next(&labels, longest);
        let head = &self.parameters["embed.weight"];
        let total = next_token(&hidden, head, &targets, micro.totals.targets as f64)?;
        Ok(Loss {
            total,
            parts: Vec::new(),
            recompute: None,
        })
    }
}

impl Artifacts for Toy {
    fn save(&self, folder: &Path) -> Result<(), BoxError> {
        let tensors: HashMap<_, _> = self
            .parameters
            .iter()
            .map(|(n, v)| (n, v.as_tensor().clone()))
            .collect();
        Ok(candle_core::safetensors::save(
            &tensors,
            folder.join("model.safetensors"),
        )?)
    }

    fn load(&self, folder: &Path) -> Result<(), BoxError> {
        let tensors =
            candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu)?;
        for (name, parameter) in &self.parameters {
            parameter.set(tensors.get(name).ok_or("a weight is missing")?)?;
        }
        Ok(())
    }
}

pub(crate) fn recipe() -> Training {
    let text = "
        seed = 3
        length = { epochs = 2 }
        batch = { samples = 3 }
        window = 6
        accumulation = 2
        learning_rate = 0.05
        weight_decay = 0.1
        warmup = { steps = 2 }
        clip = 0.5
        checkpoint_every = 2
        keep = 2
        frozen = []
        no_decay = ['*.bias']
        [[groups]]
        name = 'hidden'
        parameters = ['hidden.*']
        learning_rate = 0.01
    ";
    Training::from_toml(text).unwrap()
}

/// A run of `objective` with the toy's own weights.
pub(crate) fn train<O: Objective>(
    folder: &Path,
    recipe: &Training,
    objective: &O,
    toy: &Toy,
    progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Ended, Error> {
    train_by(folder, recipe, &Plain(objective), (toy, toy), progress)
}

/// A run of `rounds` with the toy's own weights, saved by others.
pub(crate) fn train_by<R: Rounds>(
    folder: &Path,
    recipe: &Training,
    rounds: &R,
    (toy, artifacts): (&Toy, &dyn Artifacts),
    progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Ended, Error> {
    let names = toy.parameters.keys().map(String::as_str);
    let it = Run {
        folder,
        training: recipe,
        recipe: serde_json::to_value(recipe).unwrap(),
        rounds,
        parameters: &toy.parameters,
        plan: &recipe.rules().assign(names)?,
        artifacts,
        workers: toy.workers,
        versions: BTreeMap::from([("test".to_owned(), "1".to_owned())]),
    };
    run(&it, progress)
}

pub(crate) fn go_on(_: &Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Every file of a run's folder by its path, wall-clock fields of the events set to 0, TensorBoard's
/// left out: they mirror the events and are full of clocks.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "tensorboard" {
            continue;
        }
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)),
            );
        } else {
            found.insert(name, without_clock(&std::fs::read(&path).unwrap()));
        }
    }
    found
}

fn without_clock(bytes: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return bytes.to_vec();
    };
    let lines = text
        .lines()
        .map(|line| match line.split_once("\"seconds\":") {
            Some((before, _)) => format!("{before}\"seconds\":0}}\n"),
            None => format!("{line}\n"),
        });
    lines.collect::<String>().into_bytes()
}
