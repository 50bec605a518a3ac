//! Loss, gradients and training steps of a whole tiny VideoLLaMA3 agree with PyTorch's autograd and
//! optimizer on the `transformers` port.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use train::gradient::Gradients;
use train::groups::Assignment;
use train::optimizer::{Adam, AdamW, Factors};
use train::stages::supervised::Supervised;
use train::step::{Micro, Objective, Totals};

use crate::tiny::{Golden, golden, index, items, list, tensors};

/// Of a tensor's norm.
const TOLERANCE: f64 = 1e-4;

#[track_caller]
fn close(what: &str, found: f64, want: f64) {
    assert!(
        (found - want).abs() <= TOLERANCE * want.abs(),
        "{what}: {found}, reference {want}"
    );
}

/// The norm of the difference, relative to the reference's; `floor` is a norm below which all is noise.
#[track_caller]
fn tensors_close(what: &str, found: &Tensor, want: &Tensor, floor: f64) {
    assert_eq!(found.dims(), want.dims(), "{what}");
    let norm = |t: &Tensor| {
        let sum = t
            .to_dtype(DType::F64)
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap();
        sum.to_scalar::<f64>().unwrap().sqrt()
    };
    let (difference, size) = (norm(&(found - want).unwrap()), norm(want));
    assert!(
        difference <= TOLERANCE * size.max(floor),
        "{what}: off by {difference} of {size}"
    );
}

fn totals(examples: &Supervised<'_>, batch: &[usize]) -> Totals {
    Totals::of(examples.items(), &[batch.to_vec()])
}

fn loss(objective: &Supervised<'_>, batch: &[usize], totals: Totals) -> Tensor {
    let micro = Micro { totals, seed: 0 };
    objective.loss(batch, micro).unwrap().total
}

fn supervised(golden: &Golden) -> Supervised<'_> {
    Supervised {
        model: &golden.model,
        examples: &golden.examples,
        items: items(&golden.examples),
        atc: None,
        recompute: false,
    }
}

fn value(loss: &Tensor) -> f64 {
    f64::from(loss.to_scalar::<f32>().unwrap())
}

#[test]
fn the_loss_of_each_sample_and_of_the_batch_is_pytorchs() {
    let golden = golden(|_| true);
    let objective = supervised(&golden);
    let Golden {
        training, examples, ..
    } = &golden;
    for (i, want) in training["sample_losses"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        assert_eq!(objective.items()[i].targets, index(&want["targets"]));
        let alone = value(&loss(
            &objective,
            &[i],
            Totals {
                targets: 1,
                ..Totals::default()
            },
        ));
        close(&examples[i].id, alone, want["sum"].as_f64().unwrap());
    }
    let batch = value(&loss(&objective, &[0, 1], totals(&objective, &[0, 1])));
    close("batch", batch, training["losses"][0].as_f64().unwrap());
}

#[test]
fn every_gradient_is_pytorchs() {
    let golden = golden(|_| true);
    let objective = supervised(&golden);
    let Golden {
        training,
        parameters,
        ..
    } = &golden;
    let loss = loss(&objective, &[0, 1], totals(&objective, &[0, 1]));
    let gradients = Gradients::take(&mut loss.backward().unwrap(), parameters).unwrap();
    let norm = gradients.norm().unwrap();
    close("norm", norm, training["gradient_norm"].as_f64().unwrap());
    let reference = tensors("training/gradients.safetensors");
    let names = |names: Vec<&String>| {
        names
            .into_iter()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(
        names(gradients.0.keys().collect()),
        names(reference.keys().collect())
    );
    for (name, want) in &reference {
        // A key's bias has no influence through the softmax: its gradient is rounding.
        tensors_close(name, &gradients.0[name], want, 1e-3 * norm);
    }
}

#[test]
fn three_training_steps_are_pytorchs() {
    let golden = golden(|_| true);
    let objective = supervised(&golden);
    let Golden {
        training,
        parameters,
        ..
    } = &golden;
    let adamw = &training["adamw"];
    let number = |key: &str| adamw[key].as_f64().unwrap();
    let betas = list(&adamw["betas"], |beta| beta.as_f64().unwrap());
    let assignment = Assignment {
        group: "default".to_owned(),
        learning_rate: number("lr"),
        weight_decay: number("weight_decay"),
    };
    let plan: BTreeMap<_, _> = parameters
        .keys()
        .map(|name| (name.clone(), assignment.clone()))
        .collect();
    let adam = Adam {
        beta1: betas[0],
        beta2: betas[1],
        epsilon: number("eps"),
    };
    let mut optimizer = AdamW::new(parameters, &plan, adam).unwrap();
    for (step, want) in training["losses"].as_array().unwrap().iter().enumerate() {
        let loss = loss(&objective, &[0, 1], totals(&objective, &[0, 1]));
        close(
            &format!("loss after step {step}"),
            value(&loss),
            want.as_f64().unwrap(),
        );
        let gradients = Gradients::take(&mut loss.backward().unwrap(), parameters).unwrap();
        if step + 1 < training["losses"].as_array().unwrap().len() {
            optimizer
                .step(
                    &gradients,
                    Factors {
                        gradient: 1.0,
                        learning_rate: 1.0,
                    },
                )
                .unwrap();
        }
    }
    for (name, want) in &tensors("training/after_adamw.safetensors") {
        tensors_close(name, &parameters[name], want, 0.0);
    }
    for (name, want) in training["parameter_sums"].as_object().unwrap() {
        let squares = parameters[name]
            .to_dtype(DType::F64)
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap();
        close(
            name,
            squares.to_scalar::<f64>().unwrap(),
            want["squares"].as_f64().unwrap(),
        );
    }
}
