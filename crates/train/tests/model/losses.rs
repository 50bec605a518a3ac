//! Losses and gradients of the stages agree with plain PyTorch written from the papers' formulas
//! (`fixtures/train_stages.py`), whether samples are packed into one micro-batch or stand alone, and
//! whether decoder blocks are computed again in the backward pass or not.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use model::sequence::AlarmPositions;
use model::{Alarm, Config, Sequence, Tokenizer, VideoLlama3, Weights};
use safety::{Labels, SafetyLabel};
use serde_json::Value;
use train::Parameters;
use train::forward::Example;
use train::loss::dpo::DpoSettings;
use train::recipe::{Atc, Grpo};
use train::reward::settings::RewardSettings;
use train::reward::total::Rewards;
use train::stages::dpo::{Held, Preferences};
use train::stages::grpo::{Group, Learn, Policy};
use train::stages::supervised::Supervised;
use train::step::{Compute, Computed, Objective, compute};
use train::workers::Workers;

use crate::tiny::{goldens, index, items, list, media, spans};

const TOLERANCE: f64 = 1e-4;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/stages")
}

struct Golden {
    file: Value,
    config: Config,
    network: VideoLlama3,
    parameters: Parameters,
}

impl Golden {
    /// The checkpoint with the golden alarm and, if the stage has them, the golden adapters; what the
    /// stage trains is variable.
    fn of(stage: &str) -> Self {
        let text = std::fs::read(folder().join("stages.json")).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let trained = list(&file["stages"][stage]["trained"], |name| {
            name.as_str().unwrap().to_owned()
        });
        let learns = |name: &str| trained.iter().any(|trained| trained == name);
        let checkpoint = goldens()
            .join(file["checkpoint"].as_str().unwrap())
            .join("checkpoint");
        let config = Config::open(&checkpoint).unwrap();
        let mut weights = Weights::open(&checkpoint, &config, DType::F32, &Device::Cpu).unwrap();
        if stage.ends_with(".lora") {
            weights = weights.with_lora_from(&folder().join("adapter")).unwrap();
        }
        let width = config.text.hidden_size;
        let alarm = Alarm::open(&folder(), width, DType::F32, &Device::Cpu).unwrap();
        let (weights, mut parameters) = weights.into_trainable(learns).unwrap();
        let (alarm, own) = alarm.unwrap().into_trainable(learns).unwrap();
        parameters.extend(own);
        assert_eq!(parameters.len(), trained.len());
        Self {
            network: VideoLlama3::new(config.clone(), &weights, Some(alarm)).unwrap(),
            file,
            config,
            parameters,
        }
    }

    /// A prompt, and perhaps what follows it with its labels.
    fn example(&self, asked: &Value, labels: Option<Vec<Option<u32>>>, answer: &[u32]) -> Example {
        let case = asked["case"].as_str().unwrap();
        let mut input_ids = list(&asked["input_ids"], id);
        input_ids.extend(answer);
        let shown = match case {
            "text" => Vec::new(),
            case => media("grouped", case),
        };
        let vision = match case {
            "text" => Vec::new(),
            _ => spans(&input_ids, &self.config),
        };
        Example {
            id: case.to_owned(),
            sequence: Sequence {
                prompt: String::new(),
                vision,
                alarm: Some(AlarmPositions {
                    visual: index(&asked["alarm"]["visual"]),
                    textual: index(&asked["alarm"]["textual"]),
                }),
                labels,
                input_ids,
            },
            media: shown,
        }
    }

    fn compute(&self, objective: &impl Objective, batches: &[Vec<usize>]) -> Computed {
        let workers = Workers::new(1.try_into().unwrap(), 1.try_into().unwrap()).unwrap();
        let asked = Compute {
            objective,
            parameters: &self.parameters,
            step: 1,
            seed: 0,
            batches,
        };
        compute(&workers, &asked).unwrap()
    }

    /// Loss, the named parts, and every gradient's norm and golden elements.
    fn compare(&self, stage: &str, found: &Computed, parts: &[&str]) {
        let want = &self.file["stages"][stage];
        close(
            "loss",
            f64::from(found.loss),
            want["loss"].as_f64().unwrap(),
        );
        for part in parts {
            let want = want["parts"][part].as_f64().unwrap();
            close(part, f64::from(found.parts[*part]), want);
        }
        let gradients = want["gradients"].as_object().unwrap();
        let whole = found.gradients.norm().unwrap();
        assert_eq!(found.gradients.0.len(), gradients.len());
        for (name, want) in gradients {
            let found = found.gradients.0[name].flatten_all().unwrap();
            let norm = want["norm"].as_f64().unwrap();
            // A key's bias has no influence through the softmax: its gradient is rounding.
            let floor = 1e-3 * whole;
            let values: Vec<f32> = found.to_vec1().unwrap();
            let squares: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            near(name, squares.sqrt(), norm, norm.max(floor));
            let places = list(&want["indices"], index);
            let wanted = list(&want["values"], |value| value.as_f64().unwrap());
            for (place, want) in places.into_iter().zip(wanted) {
                near(name, f64::from(values[place]), want, norm.max(floor));
            }
        }
    }
}

fn id(value: &Value) -> u32 {
    index(value) as u32
}

#[track_caller]
fn close(what: &str, found: f64, want: f64) {
    near(what, found, want, want.abs());
}

#[track_caller]
fn near(what: &str, found: f64, want: f64, size: f64) {
    assert!(
        (found - want).abs() <= TOLERANCE * size,
        "{what}: {found}, reference {want}, of {size}"
    );
}

/// All in one, and each alone.
fn ways(count: usize) -> [Vec<Vec<usize>>; 2] {
    [
        vec![(0..count).collect()],
        (0..count).map(|i| vec![i]).collect(),
    ]
}

fn check_supervised(stage: &str) {
    let golden = Golden::of(stage);
    let file = &golden.file;
    let samples = file["samples"].as_array().unwrap();
    let examples = samples.iter().map(|sample| {
        let labels = list(&sample["labels"], |label| {
            u32::try_from(label.as_i64().unwrap()).ok()
        });
        Arc::new(golden.example(sample, Some(labels), &[]))
    });
    let examples: Vec<_> = examples.collect();
    let mut items = items(&examples);
    for (item, sample) in items.iter_mut().zip(samples) {
        let label = |which: &str| match sample["safety"][which].as_u64() {
            Some(1) => Some(SafetyLabel::Harmful),
            Some(_) => Some(SafetyLabel::Safe),
            None => None,
        };
        item.labels = Labels {
            visual: label("visual"),
            textual: label("textual"),
        };
    }
    let atc = (stage == "atc").then(|| Atc {
        visual: file["lambda"]["visual"].as_f64().unwrap(),
        textual: file["lambda"]["textual"].as_f64().unwrap(),
        ..Atc::default()
    });
    let parts: &[&str] = match atc {
        Some(_) => &["next_token", "atc.visual", "atc.textual"],
        None => &[],
    };
    for recompute in [false, true] {
        for batches in ways(samples.len()) {
            let objective = Supervised {
                model: &golden.network,
                examples: &examples,
                items: items.clone(),
                atc,
                recompute,
            };
            golden.compare(stage, &golden.compute(&objective, &batches), parts);
        }
    }
}

#[test]
fn alarm_tokens_with_next_token_loss_are_pytorchs() {
    check_supervised("at_sft");
}

#[test]
fn alarm_tokens_with_adapters_are_pytorchs() {
    check_supervised("at_sft.lora");
}

#[test]
fn alarm_heads_are_pytorchs() {
    check_supervised("atc");
}

fn groups(golden: &Golden, with_old: bool) -> Vec<Group> {
    let groups = golden.file["groups"].as_array().unwrap();
    let group = |(item, group): (usize, &Value)| {
        let completions = group["completions"].as_array().unwrap();
        let joined = |key: &str| {
            let all = completions.iter().flat_map(|completion| {
                list(&completion[key], |value| value.as_f64().unwrap() as f32)
            });
            Tensor::new(all.collect::<Vec<_>>(), &Device::Cpu).unwrap()
        };
        Group {
            item,
            prompt: golden.example(group, None, &[]),
            completions: completions.iter().map(|c| list(&c["ids"], id)).collect(),
            advantages: completions
                .iter()
                .map(|c| c["advantage"].as_f64().unwrap() as f32)
                .collect(),
            old: with_old.then(|| joined("old_logprobs")),
            reference: Some(joined("reference_logprobs")),
            lines: Vec::new(),
        }
    };
    groups.iter().enumerate().map(group).collect()
}

fn check_policy(stage: &str) {
    let golden = Golden::of(stage);
    let constants = &golden.file["grpo"];
    let number = |key: &str| constants[key].as_f64().unwrap();
    let settings = Grpo {
        clip_low: number("epsilon"),
        clip_high: number("epsilon_high"),
        beta: number("beta"),
        ..Grpo::default()
    };
    let tokenizer = Tokenizer::open(&goldens().join("grouped/checkpoint")).unwrap();
    let rewards = Rewards::new(&RewardSettings::default(), Vec::new()).unwrap();
    let examples: Vec<Arc<Example>> = Vec::new();
    for recompute in [false, true] {
        for batches in ways(2) {
            let groups = groups(&golden, stage != "grpo.own");
            let prompts: Vec<_> = groups.iter().map(|g| Arc::new(g.prompt.clone())).collect();
            let policy = Policy {
                model: &golden.network,
                behaviour: &golden.network,
                reference: None,
                parameters: &golden.parameters,
                tokenizer: &tokenizer,
                examples: &examples,
                records: &[],
                items: items(&prompts),
                settings: &settings,
                rewards: &rewards,
                seed: 0,
                recompute,
                log: Mutex::new((PathBuf::new(), None)),
            };
            let found = golden.compute(&Learn::new(&policy, groups), &batches);
            golden.compare(stage, &found, &[]);
            let parts = &golden.file["stages"][stage]["parts"];
            let tokens = index(&parts["tokens"]);
            assert_eq!(found.totals.targets, tokens);
            let clipped = f64::from(found.parts["clip_fraction"]) * tokens as f64;
            assert_eq!(clipped.round() as usize, index(&parts["clipped_tokens"]));
        }
    }
}

#[test]
fn the_policys_loss_is_pytorchs() {
    check_policy("grpo");
}

#[test]
fn the_policys_loss_at_its_first_update_is_pytorchs() {
    check_policy("grpo.own");
}

#[test]
fn the_policys_loss_with_adapters_is_pytorchs() {
    check_policy("grpo.lora");
}

/// The golden pair twice: the mean over both is that of one, in one micro-batch or in two.
#[test]
fn the_preference_loss_is_pytorchs() {
    let golden = Golden::of("dpo");
    let pair = &golden.file["pair"];
    let answered = |side: &str| {
        let ids = list(&pair[side]["ids"], id);
        let asked = pair["input_ids"].as_array().unwrap().len();
        let unlabelled = std::iter::repeat_n(None, asked);
        let labels = unlabelled.chain(ids.iter().copied().map(Some)).collect();
        Arc::new(golden.example(pair, Some(labels), &ids))
    };
    let (chosen, rejected) = (answered("chosen"), answered("rejected"));
    let examples = vec![chosen.clone(), chosen, rejected.clone(), rejected];
    let number = |side: &str| pair[side]["reference_logprob"].as_f64().unwrap() as f32;
    let known = [[number("chosen"), number("rejected")]; 2];
    for recompute in [false, true] {
        for batches in ways(2) {
            let objective = Preferences {
                model: &golden.network,
                reference: Held::Known(&known),
                examples: &examples,
                items: items(&examples[..2]),
                settings: DpoSettings {
                    beta: golden.file["dpo"]["beta"].as_f64().unwrap(),
                    ..DpoSettings::default()
                },
                recompute,
            };
            let found = golden.compute(&objective, &batches);
            golden.compare("dpo", &found, &[]);
            let want = &golden.file["stages"]["dpo"]["parts"]["margin"];
            close(
                "margin",
                f64::from(found.parts["dpo.margin"]),
                want.as_f64().unwrap(),
            );
        }
    }
}

/// A reference that is a model is measured as one that was measured before.
#[test]
fn a_preference_against_the_model_itself_has_no_margin() {
    let golden = Golden::of("dpo");
    let file = &golden.file;
    let asked = file["pair"]["input_ids"].as_array().unwrap().len();
    let examples: Vec<_> = ["chosen", "rejected"]
        .map(|side| {
            let ids = list(&file["pair"][side]["ids"], id);
            let unlabelled = std::iter::repeat_n(None, asked);
            let labels = unlabelled.chain(ids.iter().copied().map(Some)).collect();
            Arc::new(golden.example(&file["pair"], Some(labels), &ids))
        })
        .into();
    let objective = Preferences {
        model: &golden.network,
        reference: Held::Model(&golden.network),
        examples: &examples,
        items: items(&examples[..1]),
        settings: DpoSettings::default(),
        recompute: false,
    };
    let found = golden.compute(&objective, &[vec![0]]);
    assert_eq!(found.parts["dpo.margin"], 0.0);
    close("loss", f64::from(found.loss), 2f64.ln());
    assert!(found.gradients.norm().unwrap() > 0.0);
}
