//! AdamW, in place, in the arithmetic of `torch.optim.AdamW` (`torch/optim/adamw.py`,
//! `_single_tensor_adam` with decoupled weight decay), to which a golden test holds it.

mod update;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Tensor, Var};
use rayon::prelude::*;

use crate::error::Doing;
use crate::gradient::Gradients;
use crate::groups::Assignment;
use crate::{Error, Parameters};

/// The numbers that all groups share, with PyTorch's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the running mean of the gradient.
    pub beta1: f64,
    /// Decay of the running mean of its square.
    pub beta2: f64,
    /// Added to the root of the second mean, outside the root.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// Parameters, how each learns, and their f32 moments.
pub struct AdamW {
    adam: Adam,
    slots: BTreeMap<String, Slot>,
}

struct Slot {
    parameter: Var,
    assignment: Assignment,
    steps: u32,
    exp_avg: Var,
    exp_avg_sq: Var,
}

/// What one step multiplies by, for all parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factors {
    /// Of the gradients: the clip coefficient.
    pub gradient: f64,
    /// Of the learning rates: the schedule's.
    pub learning_rate: f64,
}

impl AdamW {
    /// With zero moments. Each of `parameters` has its assignment in `plan`.
    pub fn new(
        parameters: &Parameters,
        plan: &BTreeMap<String, Assignment>,
        adam: Adam,
    ) -> Result<Self, Error> {
        let mut slots = BTreeMap::new();
        for (name, parameter) in parameters {
            let assignment = plan.get(name).cloned().ok_or_else(|| Error::Recipe {
                line: None,
                key: "frozen".into(),
                value: format!("covering the trainable parameter `{name}`"),
                remedy: "build the model with only the parameters that the recipe trains",
            })?;
            let zeros = || {
                Var::zeros(parameter.shape(), DType::F32, parameter.device())
                    .doing(format!("making the moments of `{name}`"))
            };
            let (exp_avg, exp_avg_sq) = (zeros()?, zeros()?);
            let parameter = parameter.clone();
            slots.insert(
                name.clone(),
                Slot {
                    parameter,
                    assignment,
                    steps: 0,
                    exp_avg,
                    exp_avg_sq,
                },
            );
        }
        Ok(Self { adam, slots })
    }

    /// Changes the parameters that have a gradient; the others, and their moments, stay as they are
    /// (PyTorch's rule for `grad = None`).
    pub fn step(&mut self, gradients: &Gradients, factors: Factors) -> Result<(), Error> {
        let adam = self.adam;
        self.slots.par_iter_mut().try_for_each(|(name, slot)| {
            let Some(gradient) = gradients.0.get(name) else {
                return Ok(());
            };
            slot.steps += 1;
            let update = update::Update {
                adam,
                step: slot.steps,
                gradient_factor: factors.gradient,
                learning_rate: slot.assignment.learning_rate * factors.learning_rate,
                weight_decay: slot.assignment.weight_decay,
            };
            update
                .apply(&slot.parameter, gradient, [&slot.exp_avg, &slot.exp_avg_sq])
                .doing(format!("updating `{name}`"))
        })
    }

    /// The rate of each group, by its name, under this factor of the schedule.
    pub fn learning_rates(&self, factor: f64) -> BTreeMap<String, f64> {
        self.slots
            .values()
            .map(|slot| {
                (
                    slot.assignment.group.clone(),
                    slot.assignment.learning_rate * factor,
                )
            })
            .collect()
    }

    /// Writes `NAME.exp_avg`, `NAME.exp_avg_sq` (f32) and `NAME.step` (one u32) for every parameter.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let mut tensors = HashMap::new();
        for (name, slot) in &self.slots {
            let step = Tensor::new(slot.steps, &candle_core::Device::Cpu)
                .doing("saving the optimizer's steps")?;
            tensors.insert(format!("{name}.exp_avg"), slot.exp_avg.as_tensor().clone());
            tensors.insert(
                format!("{name}.exp_avg_sq"),
                slot.exp_avg_sq.as_tensor().clone(),
            );
            tensors.insert(format!("{name}.step"), step);
        }
        candle_core::safetensors::save(&tensors, path).doing(format!("writing {}", path.display()))
    }

    /// Reads back what [`AdamW::save`] wrote for the same parameters.
    pub fn load(&mut self, path: &Path) -> Result<(), Error> {
        let device = candle_core::Device::Cpu;
        let mut tensors = candle_core::safetensors::load(path, &device)
            .doing(format!("reading {}", path.display()))?;
        let bad = |problem: String| Error::BadFile {
            path: path.to_owned(),
            problem,
        };
        for (name, slot) in &mut self.slots {
            let mut take = |suffix: &str| {
                let key = format!("{name}.{suffix}");
                tensors
                    .remove(&key)
                    .ok_or_else(|| bad(format!("tensor `{key}` is missing")))
            };
            let (step, exp_avg, exp_avg_sq) =
                (take("step")?, take("exp_avg")?, take("exp_avg_sq")?);
            for (suffix, moment) in [("exp_avg", &exp_avg), ("exp_avg_sq", &exp_avg_sq)] {
                if moment.shape() != slot.parameter.shape() || moment.dtype() != DType::F32 {
                    return Err(bad(format!(
                        "tensor `{name}.{suffix}` is {:?} {:?}, expected F32 {:?}",
                        moment.dtype(),
                        moment.dims(),
                        slot.parameter.dims()
                    )));
                }
            }
            slot.steps = step
                .to_scalar::<u32>()
                .map_err(|source| bad(format!("tensor `{name}.step` is not one u32: {source}")))?;
            for (moment, read) in [(&slot.exp_avg, exp_avg), (&slot.exp_avg_sq, exp_avg_sq)] {
                read.to_device(moment.device())
                    .and_then(|read| moment.set(&read))
                    .doing("loading the optimizer")?;
            }
        }
        match tensors.into_keys().min() {
            Some(extra) => Err(bad(format!("tensor `{extra}` is of no trained parameter"))),
            None => Ok(()),
        }
    }
}
