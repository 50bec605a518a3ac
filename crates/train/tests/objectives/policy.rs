use candle_core::Tensor;
use serde::Deserialize;
use train::loss::policy::{Completions, Divisors, PolicySettings, policy};

use crate::golden::{all_close, close, read, scalar, var};

#[derive(Deserialize)]
struct Golden {
    lengths: Vec<usize>,
    max_length: usize,
    advantages: Vec<f32>,
    policy: Vec<f32>,
    old: Vec<f32>,
    reference: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    settings: PolicySettings,
    on_policy: bool,
    loss: f64,
    gradient: Vec<f64>,
    clipped: usize,
    kl: f64,
}

impl Golden {
    fn divisors(&self) -> Divisors {
        Divisors {
            completions: self.lengths.len(),
            tokens: self.policy.len(),
            max_length: self.max_length,
        }
    }
}

#[test]
fn every_way_of_weighing_and_every_distance_is_pytorchs_in_value_and_gradient() {
    let golden: Golden = read("policy.json");
    assert_eq!(golden.cases.len(), 48);
    let (old, reference) = (var(&golden.old), var(&golden.reference));
    for case in &golden.cases {
        let name = format!("{:?}, on policy {}", case.settings, case.on_policy);
        let new = var(&golden.policy);
        let completions = Completions {
            policy: &new,
            old: (!case.on_policy).then_some(&*old),
            reference: Some(&reference),
            lengths: &golden.lengths,
            advantages: &golden.advantages,
        };
        let found = policy(&completions, &case.settings, golden.divisors()).unwrap();
        close(&format!("loss of {name}"), scalar(&found.loss), case.loss);
        close(&format!("kl of {name}"), found.kl, case.kl);
        assert_eq!(found.clipped, case.clipped, "{name}");
        let gradients = found.loss.backward().unwrap();
        assert!(gradients.get(&reference).is_none() && gradients.get(&old).is_none());
        let gradient = gradients.get(&new).unwrap();
        all_close(&format!("gradient of {name}"), gradient, &case.gradient);
    }
    assert!(golden.cases.iter().any(|case| case.clipped > 0));
}

#[test]
fn micro_batches_add_up() {
    let golden: Golden = read("policy.json");
    let (new, old) = (var(&golden.policy), var(&golden.old));
    let reference = var(&golden.reference);
    for case in &golden.cases {
        // Completions `from..to`, whose tokens are `start..start + length`.
        let part = |from: usize, to: usize| {
            let start = golden.lengths[..from].iter().sum();
            let length = golden.lengths[from..to].iter().sum();
            let cut = |tensor: &Tensor| tensor.narrow(0, start, length).unwrap();
            let (new, old, reference) = (cut(&new), cut(&old), cut(&reference));
            let completions = Completions {
                policy: &new,
                old: Some(&old),
                reference: Some(&reference),
                lengths: &golden.lengths[from..to],
                advantages: &golden.advantages[from..to],
            };
            let found = policy(&completions, &case.settings, golden.divisors()).unwrap();
            scalar(&found.loss)
        };
        let (whole, sum) = (part(0, 4), part(0, 1) + part(1, 4));
        assert!((whole - sum).abs() < 1e-6, "{whole} {sum}");
    }
}
