//! Low-rank adapters (arXiv:2106.09685) on the linear layers of encoder, projector and decoder.
//!
//! An adapter is two more weights beside its layer's, `<module>.lora_A.weight` `[r, I]` and
//! `<module>.lora_B.weight` `[O, r]`, so that whatever picks weights by name picks adapters too: a
//! LoRA training run is one that trains `*.lora_*`. Their files are those of PEFT (`peft`).

// I input width, O output width, r rank

use candle_core::{DType, Tensor};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::names;
use crate::weights::Weights;

mod adapter;
mod peft;

pub(crate) use adapter::{Adapter, Dropout};

const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";

/// Which layers get adapters, and of what size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Width between the two matrices, r; 1 or more.
    pub rank: usize,
    /// An adapter's output is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Share of an adapter's inputs that is dropped while training, less than 1.
    #[serde(default)]
    pub dropout: f64,
    /// Modules by whole name, by its last parts (`q_proj`, `mlp.up_proj`: as PEFT's
    /// `target_modules`), or by a pattern of the whole name in which `*` stands for any run of
    /// characters (`model.language_model.*.self_attn.*`).
    pub targets: Vec<String>,
}

impl LoraConfig {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// Names the field and its value.
    pub fn check(&self) -> Result<()> {
        let wrong = |problem: String| Err(Error::Input(problem));
        if self.rank == 0 {
            return wrong("rank of the adapters is 0, it must be 1 or more".to_owned());
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return wrong(format!(
                "alpha of the adapters is {}, it must be a positive number",
                self.alpha
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(format!(
                "dropout of the adapters is {}, it must be 0 or more and less than 1",
                self.dropout
            ));
        }
        if self.targets.is_empty() {
            return wrong(
                "targets of the adapters are empty: name modules, for example q_proj and v_proj"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }
}

/// The modules of a model that `config` targets, each with the numbers in its adapter.
///
/// # Errors
/// If the configuration cannot be, or a target fits no layer.
pub fn sizes(model: &crate::Config, config: &LoraConfig) -> Result<Vec<(String, usize)>> {
    config.check()?;
    let linear: Vec<(String, usize)> = names::weights(model)
        .into_iter()
        .filter_map(|(name, shape)| {
            let module = linear_module(&name, shape.len())?.to_owned();
            let [output, input] = shape.try_into().ok()?;
            Some((module, config.rank * (output + input)))
        })
        .collect();
    let modules = || linear.iter().map(|(module, _)| module.as_str());
    refuse_idle_targets(config, modules)?;
    let targeted = |module: &str| config.targets.iter().any(|target| fits(target, module));
    Ok(linear
        .iter()
        .filter(|(module, _)| targeted(module))
        .cloned()
        .collect())
}

/// Whether a weight of that name belongs to an adapter.
pub fn is_adapter(name: &str) -> bool {
    name.ends_with(A) || name.ends_with(B)
}

impl Weights {
    /// The same weights with fresh adapters on the layers that `config` targets: A uniform in
    /// `±1/√I` (PyTorch's `kaiming_uniform_(a=√5)`, as PEFT), B zero, so that the model is still the
    /// same. Layer by layer in the order of names from one generator.
    ///
    /// # Errors
    /// If there are adapters already, the configuration cannot be, or a target fits no layer.
    pub fn with_lora(mut self, config: &LoraConfig, rng: &mut ChaCha8Rng) -> Result<Self> {
        config.check()?;
        self.refuse_adapters()?;
        for module in self.targeted(config)? {
            let weight = self.get(&format!("{module}.weight"));
            let (output, input) = weight.dims2()?;
            let bound = 1.0 / (input as f64).sqrt();
            let values: Vec<f32> = (0..config.rank * input)
                .map(|_| rng.random_range(-bound..bound) as f32)
                .collect();
            let a = Tensor::from_vec(values, (config.rank, input), weight.device())?;
            let b = Tensor::zeros((output, config.rank), weight.dtype(), weight.device())?;
            self.tensors
                .insert(format!("{module}{A}"), a.to_dtype(weight.dtype())?);
            self.tensors.insert(format!("{module}{B}"), b);
        }
        self.lora = Some(config.clone());
        Ok(self)
    }

    /// The weights that the adapters were put on, shared with these.
    pub fn without_lora(&self) -> Self {
        let base = self.tensors.iter().filter(|(name, _)| !is_adapter(name));
        Self::base(base.map(|(n, t)| (n.clone(), t.clone())).collect())
    }

    /// The same model without adapters: `W + scale · B A` in place of each adapted `W`, the others
    /// shared.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn merged(&self) -> Result<Self> {
        let mut merged = self.without_lora();
        for (name, weight) in &mut merged.tensors {
            let adapter = name
                .strip_suffix(".weight")
                .and_then(|module| self.adapter(module));
            if let Some(Adapter { a, b, scale, .. }) = adapter {
                let wide = |x: &Tensor| x.detach().to_dtype(DType::F32);
                let change = (wide(&b)?.matmul(&wide(&a)?)? * scale)?;
                *weight = (wide(weight)? + change)?.to_dtype(weight.dtype())?;
            }
        }
        Ok(merged)
    }

    /// What the adapters are; nothing if there are none.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.lora.as_ref()
    }

    /// The adapter of a layer.
    pub(crate) fn adapter(&self, module: &str) -> Option<Adapter> {
        let config = self.lora.as_ref()?;
        let first = format!("{module}{A}");
        let a = self.tensors.get(&first)?.clone();
        let b = self.get(&format!("{module}{B}"));
        let before = self.tensors.range(..first);
        let index = before.filter(|(name, _)| name.ends_with(A)).count() as u64;
        let dropout = Dropout::resting(config.dropout, index);
        Some(Adapter::new(a, b, config.scale(), dropout))
    }

    /// The modules that can have an adapter, in order: every linear layer but the output layer, whose
    /// weight losses read directly.
    fn linear_modules(&self) -> impl Iterator<Item = &str> {
        let named = self.tensors.iter();
        named.filter_map(|(name, tensor)| linear_module(name, tensor.rank()))
    }

    fn targeted(&self, config: &LoraConfig) -> Result<Vec<String>> {
        refuse_idle_targets(config, || self.linear_modules())?;
        Ok(self
            .linear_modules()
            .filter(|module| config.targets.iter().any(|target| fits(target, module)))
            .map(str::to_owned)
            .collect())
    }

    fn refuse_adapters(&self) -> Result<()> {
        match self.lora {
            None => Ok(()),
            Some(_) => Err(Error::Input(
                "these weights have adapters already: merge them or leave them out first"
                    .to_owned(),
            )),
        }
    }
}

/// The module of a weight, if that is a linear layer that can have an adapter.
fn linear_module(name: &str, rank: usize) -> Option<&str> {
    let module = name.strip_suffix(".weight")?;
    let is_linear =
        rank == 2 && !is_adapter(name) && module != "lm_head" && !module.ends_with(".embed_tokens");
    is_linear.then_some(module)
}

fn refuse_idle_targets<'m, I: Iterator<Item = &'m str>>(
    config: &LoraConfig,
    modules: impl Fn() -> I,
) -> Result<()> {
    let idle = |target: &&String| !modules().any(|module| fits(target, module));
    let Some(target) = config.targets.iter().find(idle) else {
        return Ok(());
    };
    let count = modules().count();
    let first = modules().next().unwrap_or("none");
    Err(Error::Input(format!(
        "target {target:?} of the adapters fits none of the model's {count} linear layers \
         (the first is {first}); give a whole name, its last parts such as q_proj, or a \
         pattern with `*`"
    )))
}

fn fits(target: &str, module: &str) -> bool {
    names::fits(target, module)
        || module
            .strip_suffix(target)
            .is_some_and(|before| before.ends_with('.'))
}
