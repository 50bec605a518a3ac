//! Low-rank adapters: what they add, when they drop, and ([`files`]) their files against PEFT's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod files;

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use model::lora::{LoraConfig, is_adapter};
use model::{Config, MediaKind, VideoLlama3, VisionInput, Weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const TOLERANCE: f32 = 1e-5;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn base() -> (Config, Weights) {
    let folder = goldens().join("grouped/checkpoint");
    let config = Config::open(&folder).unwrap();
    let weights = Weights::open(&folder, &config, DType::F32, &Device::Cpu).unwrap();
    (config, weights)
}

fn lora(targets: &[&str]) -> LoraConfig {
    LoraConfig {
        rank: 3,
        alpha: 6.0,
        dropout: 0.0,
        targets: targets.iter().map(|&target| target.to_owned()).collect(),
    }
}

fn fresh(config: &LoraConfig) -> Weights {
    let rng = &mut ChaCha8Rng::seed_from_u64(4);
    base().1.with_lora(config, rng).unwrap()
}

/// Adapters as after training: B is not zero.
fn trained(config: &LoraConfig) -> Weights {
    let (weights, variables) = fresh(config).into_trainable(is_adapter).unwrap();
    for (index, variable) in variables.values().enumerate() {
        let size = variable.elem_count();
        let values: Vec<f32> = (0..size)
            .map(|i| ((i * 7 + index) as f32).sin() * 0.3)
            .collect();
        let values = Tensor::from_vec(values, variable.shape(), &Device::Cpu).unwrap();
        variable.set(&values).unwrap();
    }
    weights
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn difference(a: &Tensor, b: &Tensor) -> f32 {
    let (a, b) = (numbers(a), numbers(b));
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(&b);
    pairs.fold(0.0, |max, (a, b)| max.max((a - b).abs()))
}

/// Logits `[1, 4, V]` at the end of the golden case `video`.
fn logits_of(network: &VideoLlama3) -> Tensor {
    let text = std::fs::read(goldens().join("grouped/video.json")).unwrap();
    let case: Value = serde_json::from_slice(&text).unwrap();
    let pixels = goldens().join("grouped/video.safetensors");
    let pixels = candle_core::safetensors::load(pixels, &Device::Cpu).unwrap();
    let pixels: Vec<u8> = pixels["video_0.pixels"]
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    let seen = &case["vision"][0];
    let keep: Vec<u8> = serde_json::from_value(seen["keep"].clone()).unwrap();
    let input = VisionInput {
        kind: MediaKind::Video,
        pixel_values: pixels
            .iter()
            .map(|&x| (f32::from(x) - 127.5) / 127.5)
            .collect(),
        patch_dim: 588,
        grid: serde_json::from_value(seen["grid"].clone()).unwrap(),
        merge: serde_json::from_value(seen["merge"].clone()).unwrap(),
        keep: keep.iter().map(|&keep| keep == 1).collect(),
    };
    let features = network.features(&input).unwrap();
    let ids: Vec<u32> = serde_json::from_value(case["prompts"][0]["input_ids"].clone()).unwrap();
    let mut shown = 0;
    let rows: Vec<Tensor> = ids
        .iter()
        .map(|&id| {
            if id == network.config().video_token_id {
                shown += 1;
                features.narrow(0, shown - 1, 1).unwrap()
            } else {
                network.embed_next(&[id]).unwrap().squeeze(0).unwrap()
            }
        })
        .collect();
    let embedded = Tensor::cat(&rows, 0).unwrap().unsqueeze(0).unwrap();
    let hidden = network.hidden(&embedded, None, None).unwrap();
    let last = hidden.narrow(1, ids.len() - 4, 4).unwrap();
    network.logits(&last).unwrap()
}

fn network(weights: &Weights) -> VideoLlama3 {
    VideoLlama3::new(base().0, weights, None).unwrap()
}

fn logits(weights: &Weights) -> Tensor {
    logits_of(&network(weights))
}

const EVERYWHERE: &[&str] = &[
    "q_proj",
    "*.mlp.*",
    "model.projector.readout.2",
    "*vision*.out_proj",
];

// ---- what is adapted ----------------------------------------------------------------------------

#[track_caller]
fn check_targets(targets: &[&str], want: usize) {
    let weights = fresh(&lora(targets));
    let adapters = weights.iter().filter(|(name, _)| is_adapter(name)).count();
    assert_eq!(adapters, 2 * want, "{targets:?}");
}

#[test]
fn a_plain_name_is_the_last_part_of_a_module_anywhere() {
    check_targets(&["q_proj"], 4);
}

#[test]
fn the_last_parts_of_a_name_may_be_several() {
    check_targets(&["0.self_attn.q_proj"], 2);
    check_targets(&["mlp.up_proj"], 2);
}

#[test]
fn half_a_part_is_no_name() {
    check_refused(&["_proj"]);
}

#[test]
fn a_star_pattern_is_of_the_whole_name() {
    check_targets(&["model.language_model.*.self_attn.*"], 8);
    check_targets(&["*"], 2 * 7 + 2 * 6 + 2);
}

#[test]
fn a_layer_that_two_targets_fit_is_adapted_once() {
    check_targets(&["q_proj", "*.q_proj"], 4);
}

#[track_caller]
fn check_refused(targets: &[&str]) {
    let rng = &mut ChaCha8Rng::seed_from_u64(4);
    let error = base()
        .1
        .with_lora(&lora(targets), rng)
        .unwrap_err()
        .to_string();
    let named = targets.last().unwrap();
    assert!(error.contains(&format!("{named:?}")), "{error}");
}

#[test]
fn a_target_that_fits_nothing_is_refused_by_name() {
    check_refused(&["q_proj", "q_porj"]);
}

#[test]
fn tables_norms_and_the_patch_convolution_are_no_targets() {
    check_refused(&["embed_tokens"]);
    check_refused(&["lm_head"]);
    check_refused(&["input_layernorm"]);
    check_refused(&["patch_embedding"]);
}

#[track_caller]
fn check_config(change: impl Fn(&mut LoraConfig), named: &str) {
    let mut config = lora(&["q_proj"]);
    change(&mut config);
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains(named), "{error}");
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    check_config(|config| config.rank = 0, "rank");
    check_config(|config| config.alpha = f64::NAN, "alpha");
    check_config(|config| config.alpha = 0.0, "alpha");
    check_config(|config| config.dropout = 1.0, "dropout");
    check_config(|config| config.targets.clear(), "targets");
}

#[test]
fn an_unknown_field_is_refused() {
    let written = json!({"rank": 8, "alpha": 16, "targets": ["q_proj"]});
    assert_eq!(
        serde_json::from_value::<LoraConfig>(written)
            .unwrap()
            .dropout,
        0.0
    );
    let written = json!({"rank": 8, "alpha": 16, "targets": ["q_proj"], "bias": "none"});
    assert!(serde_json::from_value::<LoraConfig>(written).is_err());
}

// ---- what adapters add --------------------------------------------------------------------------

#[test]
fn fresh_adapters_change_nothing() {
    let difference = difference(&logits(&fresh(&lora(&["*"]))), &logits(&base().1));
    assert_eq!(difference, 0.0);
}

#[test]
fn a_is_uniform_within_one_over_the_root_of_the_width_and_b_is_zero() {
    let weights = fresh(&lora(&["model.language_model.layers.0.self_attn.q_proj"]));
    let adapters: Vec<_> = weights
        .iter()
        .filter(|(name, _)| is_adapter(name))
        .collect();
    let (a, b) = (numbers(adapters[0].1), numbers(adapters[1].1));
    assert_eq!(adapters[0].1.dims(), [3, 32]);
    assert_eq!(adapters[1].1.dims(), [32, 3]);
    let bound = 1.0 / 32f32.sqrt();
    let largest = a.iter().fold(0f32, |max, x| max.max(x.abs()));
    assert!(largest <= bound && largest > 0.9 * bound, "{largest}");
    assert!(b.iter().all(|x| *x == 0.0));
}

#[test]
fn the_same_seed_gives_the_same_adapters() {
    let made = |seed| {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let weights = base().1.with_lora(&lora(&["q_proj"]), rng).unwrap();
        weights
            .iter()
            .filter(|(name, _)| is_adapter(name))
            .flat_map(|(_, tensor)| numbers(tensor))
            .collect::<Vec<f32>>()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
}

#[test]
fn merged_adapters_give_the_same_logits() {
    let adapted = trained(&lora(EVERYWHERE));
    let (with, merged) = (logits(&adapted), logits(&adapted.merged().unwrap()));
    let scale = numbers(&with).iter().fold(0f32, |max, x| max.max(x.abs()));
    assert!(difference(&with, &logits(&base().1)) > 0.1 * scale);
    assert!(difference(&with, &merged) <= TOLERANCE * scale);
}

#[test]
fn merging_leaves_no_adapter_and_changes_only_their_layers() {
    let adapted = trained(&lora(&["down_proj"]));
    let merged = adapted.merged().unwrap();
    assert!(merged.lora().is_none());
    let base = base().1;
    for ((name, now), (same, before)) in merged.iter().zip(base.iter()) {
        assert_eq!(name, same);
        let changed = difference(now, before) > 0.0;
        assert_eq!(changed, name.ends_with("down_proj.weight"), "{name}");
    }
}

#[test]
fn a_network_without_its_adapters_is_the_base() {
    let adapted = network(&trained(&lora(EVERYWHERE)));
    let bare = logits_of(&adapted.without_lora());
    assert_eq!(difference(&bare, &logits(&base().1)), 0.0);
    let weights = trained(&lora(EVERYWHERE)).without_lora();
    assert_eq!(weights.count(), base().1.count());
}

#[test]
fn adapters_alone_can_learn_and_the_first_gradient_is_of_b() {
    let (weights, variables) = fresh(&lora(&["v_proj"]))
        .into_trainable(is_adapter)
        .unwrap();
    assert_eq!(variables.len(), 8);
    let gradients = logits(&weights)
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    for (name, variable) in &variables {
        let gradient = numbers(gradients.get(variable).unwrap());
        let moves = gradient.iter().any(|x| *x != 0.0);
        assert_eq!(moves, name.ends_with("lora_B.weight"), "{name}");
    }
}

#[test]
fn weights_with_adapters_take_no_others() {
    let rng = &mut ChaCha8Rng::seed_from_u64(4);
    let error = fresh(&lora(&["q_proj"])).with_lora(&lora(&["v_proj"]), rng);
    assert!(error.unwrap_err().to_string().contains("already"));
}

// ---- dropout ------------------------------------------------------------------------------------

fn dropping(share: f64) -> VideoLlama3 {
    network(&trained(&LoraConfig {
        dropout: share,
        ..lora(&["q_proj", "v_proj", "up_proj"])
    }))
}

#[test]
fn nothing_is_dropped_without_a_seed() {
    let difference = difference(&logits_of(&dropping(0.5)), &logits_of(&dropping(0.0)));
    assert_eq!(difference, 0.0);
}

#[test]
fn the_same_seed_drops_the_same() {
    let drop = |seed| numbers(&logits_of(&dropping(0.5).with_dropout(seed)));
    assert_eq!(drop(1), drop(1));
    assert_ne!(drop(1), drop(2));
    assert_ne!(drop(1), numbers(&logits_of(&dropping(0.0))));
}

#[test]
fn a_seed_drops_nothing_where_the_share_is_zero() {
    let plain = logits_of(&dropping(0.0));
    assert_eq!(
        difference(&logits_of(&dropping(0.0).with_dropout(1)), &plain),
        0.0
    );
}
