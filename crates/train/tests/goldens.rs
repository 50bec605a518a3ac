//! Optimizer, schedule, clipping and loss agree with PyTorch and transformers.
//! The files are from `fixtures/train_goldens.py`.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use candle_core::{Device, Tensor, Var};
    use serde::de::DeserializeOwned;
    use train::Parameters;
    use train::gradient::{Gradients, clip_coefficient};
    use train::groups::Assignment;
    use train::loss::next_token::{Targets, next_token};
    use train::optimizer::{Adam, AdamW, Factors};
    use train::schedule::{Schedule, Shape};

    /// Relative to the larger of the value and 1.
    const TOLERANCE: f64 = 1e-6;

    fn read<T: DeserializeOwned>(name: &str) -> T {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/goldens")
            .join(name);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[track_caller]
    fn close(what: &str, found: f64, want: f64) {
        assert!(
            (found - want).abs() <= TOLERANCE * want.abs().max(1.0),
            "{what}: {found}, reference {want}"
        );
    }

    #[track_caller]
    fn all_close(what: &str, found: &Tensor, want: &[f32]) {
        let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(found.len(), want.len(), "{what}");
        for (found, want) in found.iter().zip(want) {
            close(what, f64::from(*found), f64::from(*want));
        }
    }

    type Numbers = BTreeMap<String, Vec<f32>>;

    #[derive(serde::Deserialize)]
    struct Optimizer {
        betas: [f64; 2],
        epsilon: f64,
        groups: BTreeMap<String, Group>,
        shapes: BTreeMap<String, Vec<usize>>,
        start: Numbers,
        steps: Vec<Step>,
    }

    #[derive(serde::Deserialize)]
    struct Group {
        lr: f64,
        weight_decay: f64,
    }

    #[derive(serde::Deserialize)]
    struct Step {
        gradients: Numbers,
        max_norm: f64,
        norm: f64,
        parameters: Numbers,
    }

    impl Optimizer {
        fn tensor(&self, name: &str, values: &[f32]) -> Tensor {
            Tensor::from_slice(values, self.shapes[name].as_slice(), &Device::Cpu).unwrap()
        }

        fn parameters(&self) -> Parameters {
            let variable = |(name, values): (&String, &Vec<f32>)| {
                (
                    name.clone(),
                    Var::from_tensor(&self.tensor(name, values)).unwrap(),
                )
            };
            self.start.iter().map(variable).collect()
        }

        fn optimizer(&self, parameters: &Parameters) -> AdamW {
            let plan = self.groups.iter().map(|(name, group)| {
                let assignment = Assignment {
                    group: name.clone(),
                    learning_rate: group.lr,
                    weight_decay: group.weight_decay,
                };
                (name.clone(), assignment)
            });
            let adam = Adam {
                beta1: self.betas[0],
                beta2: self.betas[1],
                epsilon: self.epsilon,
            };
            AdamW::new(parameters, &plan.collect(), adam).unwrap()
        }

        fn gradients(&self, step: &Step) -> Gradients {
            let tensors = step
                .gradients
                .iter()
                .map(|(n, values)| (n.clone(), self.tensor(n, values)));
            Gradients(tensors.collect())
        }
    }

    #[test]
    fn clipped_adamw_steps_are_pytorchs_also_through_a_file_and_with_absent_gradients() {
        let golden: Optimizer = read("adamw.json");
        let parameters = golden.parameters();
        let mut optimizer = golden.optimizer(&parameters);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.safetensors");
        assert!(
            golden
                .steps
                .iter()
                .any(|step| step.gradients.len() < golden.shapes.len())
        );
        for (i, step) in golden.steps.iter().enumerate() {
            let gradients = golden.gradients(step);
            let norm = gradients.norm().unwrap();
            close(&format!("norm of step {i}"), norm, step.norm);
            let gradient = clip_coefficient(norm, step.max_norm);
            optimizer
                .step(
                    &gradients,
                    Factors {
                        gradient,
                        learning_rate: 1.0,
                    },
                )
                .unwrap();
            for (name, want) in &step.parameters {
                all_close(&format!("{name} after step {i}"), &parameters[name], want);
            }
            optimizer.save(&file).unwrap();
            // The same variables, moments from the file.
            optimizer = golden.optimizer(&parameters);
            optimizer.load(&file).unwrap();
        }
    }

    #[derive(serde::Deserialize)]
    struct Course {
        shape: Shape,
        warmup: usize,
        total: usize,
        factors: Vec<f64>,
    }

    #[test]
    fn learning_rates_are_those_of_transformers() {
        for case in read::<Vec<Course>>("schedules.json") {
            let schedule = Schedule {
                shape: case.shape,
                warmup: case.warmup,
                total: case.total,
            };
            for (done, want) in case.factors.iter().enumerate() {
                close(
                    &format!("{schedule:?} at {done}"),
                    schedule.factor(done),
                    *want,
                );
            }
        }
    }

    #[derive(serde::Deserialize)]
    struct NextToken {
        hidden: Vec<Vec<Vec<f32>>>,
        head: Vec<Vec<f32>>,
        labels: Vec<Vec<i64>>,
        loss: f64,
        hidden_gradient: Vec<f32>,
        head_gradient: Vec<f32>,
    }

    #[test]
    fn the_next_token_loss_and_its_gradients_are_pytorchs() {
        let golden: NextToken = read("next_token.json");
        let hidden = Var::new(golden.hidden, &Device::Cpu).unwrap();
        let head = Var::new(golden.head, &Device::Cpu).unwrap();
        let labels: Vec<Vec<Option<u32>>> = golden
            .labels
            .iter()
            .map(|labels| {
                labels
                    .iter()
                    .map(|&label| u32::try_from(label).ok())
                    .collect()
            })
            .collect();
        let targets = Targets::next(&labels, hidden.dim(1).unwrap());
        let loss = next_token(&hidden, &head, &targets, targets.len() as f64).unwrap();
        close(
            "loss",
            f64::from(loss.to_scalar::<f32>().unwrap()),
            golden.loss,
        );
        let gradients = loss.backward().unwrap();
        all_close(
            "hidden",
            gradients.get(&hidden).unwrap(),
            &golden.hidden_gradient,
        );
        all_close("head", gradients.get(&head).unwrap(), &golden.head_gradient);
    }
}
