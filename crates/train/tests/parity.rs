//! Loss, gradients and training steps of a whole tiny VideoLLaMA3 agree with PyTorch's autograd and
//! optimizer on the `transformers` port. The files are from `fixtures/model_training.py`.

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::path::PathBuf;
    use std::sync::Arc;

    use candle_core::{DType, Device, Tensor};
    use model::{Config, MediaKind, Sequence, VideoLlama3, VisionInput, Weights};
    use serde_json::Value;
    use train::Parameters;
    use train::forward::Example;
    use train::gradient::Gradients;
    use train::groups::Assignment;
    use train::optimizer::{Adam, AdamW, Factors};
    use train::stages::sft::Supervised;
    use train::step::{Objective, Totals};

    /// Of a tensor's norm.
    const TOLERANCE: f64 = 1e-4;

    fn goldens() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/goldens")
    }

    fn json(name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(goldens().join(name)).unwrap()).unwrap()
    }

    fn tensors(name: &str) -> HashMap<String, Tensor> {
        candle_core::safetensors::load(goldens().join(name), &Device::Cpu).unwrap()
    }

    fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
        value.as_array().unwrap().iter().map(read).collect()
    }

    fn index(value: &Value) -> usize {
        value.as_u64().unwrap() as usize
    }

    struct Golden {
        training: Value,
        model: VideoLlama3,
        parameters: Parameters,
        examples: Vec<Example>,
    }

    fn golden() -> Golden {
        let training = json("training/training.json");
        let folder = training["checkpoint"].as_str().unwrap();
        let checkpoint = goldens().join(folder).join("checkpoint");
        let config = Config::open(&checkpoint).unwrap();
        let weights = Weights::open(&checkpoint, &config, DType::F32, &Device::Cpu).unwrap();
        let (weights, parameters) = weights.into_trainable(|_| true).unwrap();
        let examples = list(&training["samples"], |sample| {
            example(folder, sample, &config)
        });
        let model = VideoLlama3::new(config, &weights, None).unwrap();
        Golden {
            training,
            model,
            parameters,
            examples,
        }
    }

    fn example(folder: &str, sample: &Value, config: &Config) -> Example {
        let case = sample["case"].as_str().unwrap();
        let described = json(&format!("{folder}/{case}.json"));
        let values = tensors(&format!("{folder}/{case}.safetensors"));
        let media = list(&described["vision"], |vision| {
            let name = vision["name"].as_str().unwrap();
            Arc::new(vision_input(vision, &values[&format!("{name}.pixels")]))
        });
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

    fn vision_input(vision: &Value, pixels: &Tensor) -> VisionInput {
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
    fn spans(ids: &[u32], config: &Config) -> Vec<Vec<std::ops::Range<usize>>> {
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
        objective.loss(batch, totals).unwrap().total
    }

    fn value(loss: &Tensor) -> f64 {
        f64::from(loss.to_scalar::<f32>().unwrap())
    }

    #[test]
    fn the_loss_of_each_sample_and_of_the_batch_is_pytorchs() {
        let Golden {
            training,
            model,
            examples,
            ..
        } = &golden();
        let objective = Supervised::new(model, examples).unwrap();
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
        let Golden {
            training,
            model,
            parameters,
            examples,
        } = &golden();
        let objective = Supervised::new(model, examples).unwrap();
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
        let Golden {
            training,
            model,
            parameters,
            examples,
        } = &golden();
        let objective = Supervised::new(model, examples).unwrap();
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
}
