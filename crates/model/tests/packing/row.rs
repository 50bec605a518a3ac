//! Networks whose every weight is trained, and what their sequences get alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use model::{Config, LoraConfig, Packing, Recompute, Segment, VideoLlama3, Weights};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Largest difference allowed, relative to the largest value.
const TOLERANCE: f32 = 1e-5;
/// Of sums of numbers near 1.
const ROUNDING: f32 = 1e-6;

pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// A network and what is trained of it, by name.
pub(crate) struct Trained {
    pub(crate) network: VideoLlama3,
    config: Config,
    weights: Weights,
    variables: BTreeMap<String, Var>,
}

impl Trained {
    /// A golden checkpoint, all of it trained.
    pub(crate) fn open(folder: &str) -> Self {
        let (config, weights) = checkpoint(folder);
        Self::new(config, weights, |_| true)
    }

    /// A golden checkpoint with adapters, which alone are trained; none begins at zero.
    pub(crate) fn adapted(folder: &str, lora: &LoraConfig) -> Self {
        let (config, weights) = checkpoint(folder);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let weights = weights.with_lora(lora, &mut rng).unwrap();
        let trained = Self::new(config, weights, |name| name.contains("lora_"));
        for (name, variable) in &trained.variables {
            if name.contains("lora_B") {
                let shape = variable.dims2().unwrap();
                variable.set(&noise(shape, 6)).unwrap();
            }
        }
        trained
    }

    /// Fresh weights in the sizes of a golden checkpoint, all of them trained.
    pub(crate) fn random(rng: &mut ChaCha8Rng) -> Self {
        let config = Config::open(&goldens().join("grouped/checkpoint")).unwrap();
        let weights = Weights::random(&config, 0.2, rng).unwrap();
        Self::new(config, weights, |_| true)
    }

    fn new(config: Config, weights: Weights, trained: impl Fn(&str) -> bool) -> Self {
        let (weights, variables) = weights.into_trainable(trained).unwrap();
        Self {
            network: VideoLlama3::new(config.clone(), &weights, None).unwrap(),
            config,
            weights,
            variables,
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.config.text.hidden_size
    }

    /// The same weights, none of them trained.
    pub(crate) fn frozen(&self) -> VideoLlama3 {
        let folder = tempfile::tempdir().unwrap();
        self.weights.save(folder.path(), &self.config).unwrap();
        self.opened(folder.path(), DType::F32)
    }

    /// The same weights in bf16.
    pub(crate) fn in_half(&self) -> VideoLlama3 {
        let folder = tempfile::tempdir().unwrap();
        self.weights.save(folder.path(), &self.config).unwrap();
        self.opened(folder.path(), DType::BF16)
    }

    fn opened(&self, folder: &Path, dtype: DType) -> VideoLlama3 {
        let weights = Weights::open(folder, &self.config, dtype, &Device::Cpu).unwrap();
        VideoLlama3::new(self.config.clone(), &weights, None).unwrap()
    }

    /// Of every variable that has one, and of the row.
    pub(crate) fn gradients(
        &self,
        loss: &Tensor,
        row: &Tensor,
        recompute: Option<&Recompute>,
    ) -> BTreeMap<String, Tensor> {
        let store = loss.backward().unwrap();
        let inside = recompute.map(Recompute::take).unwrap_or_default();
        let named = self
            .variables
            .iter()
            .map(|(name, variable)| (name.as_str(), variable.as_tensor()));
        let mut out = BTreeMap::new();
        for (name, variable) in named.chain([("row", row)]) {
            let parts = [store.get(variable), inside.get(&variable.id())];
            let sum = parts
                .into_iter()
                .flatten()
                .cloned()
                .reduce(|a, b| (a + b).unwrap());
            if let Some(sum) = sum {
                out.insert(name.to_owned(), sum);
            }
        }
        out
    }
}

fn checkpoint(folder: &str) -> (Config, Weights) {
    let folder = goldens().join(folder).join("checkpoint");
    let config = Config::open(&folder).unwrap();
    let weights = Weights::open(&folder, &config, DType::F32, &Device::Cpu).unwrap();
    (config, weights)
}

pub(crate) fn segment(length: usize, after: Option<usize>) -> Segment {
    Segment { length, after }
}

/// Numbers between -1 and 1.
pub(crate) fn noise(shape: (usize, usize), seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.0 * shape.1)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Hidden states `[S, E]` of a row's segments, each computed alone after its prefix.
pub(crate) fn alone(network: &VideoLlama3, row: &Tensor, packing: &Packing) -> Tensor {
    let parts: Vec<Tensor> = (0..packing.segments().len())
        .map(|index| {
            let mut chain = vec![index];
            while let Some(after) = packing.segments()[chain[0]].after {
                chain.insert(0, after);
            }
            let parts: Vec<Tensor> = chain
                .iter()
                .map(|&part| {
                    let range = packing.range(part);
                    row.narrow(0, range.start, range.len()).unwrap()
                })
                .collect();
            let whole = Tensor::cat(&parts, 0).unwrap().unsqueeze(0).unwrap();
            let hidden = network.hidden(&whole, None, None).unwrap();
            let own = packing.segments()[index].length;
            let before = whole.dim(1).unwrap() - own;
            hidden.squeeze(0).unwrap().narrow(0, before, own).unwrap()
        })
        .collect();
    Tensor::cat(&parts, 0).unwrap()
}

#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (got, want) = (flat(got), flat(want));
    let scale = want.iter().fold(0f32, |max, x| max.max(x.abs()));
    let error = got
        .iter()
        .zip(&want)
        .fold(0f32, |max, (a, b)| max.max((a - b).abs()));
    // What cancels out, such as the gradient of a bias on every key, is 0 only as far as sums round.
    assert!(
        error <= TOLERANCE * scale + ROUNDING,
        "{what}: off by {error} on a scale of {scale}"
    );
}
