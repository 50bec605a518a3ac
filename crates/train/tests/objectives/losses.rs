use candle_core::{Device, Tensor, Var};
use safety::SafetyLabel;
use serde::Deserialize;
use train::loss::atc::atc;
use train::loss::dpo::{DpoSettings, Pairs, dpo};
use train::loss::logprobs::logprobs;

use crate::golden::{all_close, close, read, scalar, var};

#[derive(Deserialize)]
struct Atc {
    logits: Vec<f32>,
    labels: Vec<Option<SafetyLabel>>,
    loss: f64,
    gradient: Vec<f64>,
    correct: usize,
}

#[test]
fn the_alarm_heads_loss_and_its_gradient_are_pytorchs() {
    let golden: Atc = read("atc.json");
    let logits = var(&golden.logits);
    let labelled = golden.labels.iter().flatten().count();
    let found = atc(&logits, &golden.labels, labelled as f64).unwrap();
    close("loss", scalar(&found.loss), golden.loss);
    assert_eq!((found.labelled, found.correct), (labelled, golden.correct));
    let gradients = found.loss.backward().unwrap();
    all_close(
        "gradient",
        gradients.get(&logits).unwrap(),
        &golden.gradient,
    );
}

#[derive(Deserialize)]
struct Logprobs {
    hidden: Vec<Vec<f32>>,
    head: Vec<Vec<f32>>,
    tokens: Vec<u32>,
    upstream: Vec<f32>,
    values: Vec<f64>,
    hidden_gradient: Vec<f64>,
    head_gradient: Vec<f64>,
}

#[test]
fn log_probabilities_and_their_gradients_are_pytorchs() {
    let golden: Logprobs = read("logprobs.json");
    let hidden = Var::new(golden.hidden, &Device::Cpu).unwrap();
    let head = Var::new(golden.head, &Device::Cpu).unwrap();
    let values = logprobs(&hidden, &head, &golden.tokens).unwrap();
    all_close("values", &values, &golden.values);
    let upstream = Tensor::new(golden.upstream, &Device::Cpu).unwrap();
    let loss = (values * upstream).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    all_close(
        "hidden",
        gradients.get(&hidden).unwrap(),
        &golden.hidden_gradient,
    );
    all_close("head", gradients.get(&head).unwrap(), &golden.head_gradient);
}

#[derive(Deserialize)]
struct Dpo {
    settings: DpoSettings,
    chosen: Vec<f32>,
    rejected: Vec<f32>,
    reference_chosen: Vec<f32>,
    reference_rejected: Vec<f32>,
    loss: f64,
    chosen_gradient: Vec<f64>,
    rejected_gradient: Vec<f64>,
    margin: f64,
    correct: usize,
}

#[test]
fn the_preference_loss_and_its_gradients_are_those_of_the_plain_formula() {
    for golden in read::<Vec<Dpo>>("dpo.json") {
        let (chosen, rejected) = (var(&golden.chosen), var(&golden.rejected));
        let pairs = Pairs {
            chosen: &chosen,
            rejected: &rejected,
            reference_chosen: &var(&golden.reference_chosen),
            reference_rejected: &var(&golden.reference_rejected),
        };
        let found = dpo(&pairs, &golden.settings, golden.chosen.len() as f64).unwrap();
        close("loss", scalar(&found.loss), golden.loss);
        close("margin", found.margin, golden.margin);
        assert_eq!(found.correct, golden.correct);
        let gradients = found.loss.backward().unwrap();
        all_close(
            "chosen",
            gradients.get(&chosen).unwrap(),
            &golden.chosen_gradient,
        );
        all_close(
            "rejected",
            gradients.get(&rejected).unwrap(),
            &golden.rejected_gradient,
        );
    }
}
