//! Adapters in PEFT's files.

use candle_core::{DType, Device};
use model::Weights;
use model::lora::LoraConfig;
use serde_json::{Value, json};

use super::{base, difference, goldens, logits, lora, numbers, trained};

#[test]
fn an_adapter_that_peft_saved_gives_pefts_logits() {
    let weights = base().1.with_lora_from(&goldens().join("lora")).unwrap();
    let config = weights.lora().unwrap();
    assert_eq!((config.rank, config.alpha, config.dropout), (3, 5.0, 0.1));
    assert_eq!(config.targets, ["fc2", "q_proj", "readout.0", "up_proj"]);
    let want = goldens().join("lora/video.safetensors");
    let want = &candle_core::safetensors::load(want, &Device::Cpu).unwrap()["logits"];
    let scale = numbers(want).iter().fold(0f32, |max, x| max.max(x.abs()));
    let difference = difference(&logits(&weights), want);
    assert!(
        difference <= 1e-4 * scale,
        "{difference} on a scale of {scale}"
    );
}

#[track_caller]
fn check_saved(config: &LoraConfig, targets: usize) {
    let folder = tempfile::tempdir().unwrap();
    let adapted = trained(config);
    adapted.save_lora(folder.path(), "base").unwrap();
    let read = base().1.with_lora_from(folder.path()).unwrap();
    let found = read.lora().unwrap();
    assert_eq!(
        (found.rank, found.alpha, found.dropout),
        (config.rank, config.alpha, config.dropout)
    );
    assert_eq!(found.targets.len(), targets);
    for ((name, read), (same, saved)) in read.iter().zip(adapted.iter()) {
        assert_eq!(name, same);
        assert_eq!(numbers(read), numbers(saved), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn saved_adapters_are_read_back() {
    check_saved(&lora(&["q_proj", "fc1"]), 2);
    check_saved(
        &LoraConfig {
            alpha: 2.5,
            dropout: 0.25,
            ..lora(&["k_proj"])
        },
        1,
    );
}

#[test]
fn a_star_is_written_out_for_peft() {
    check_saved(&lora(&["model.language_model.*.mlp.*"]), 6);
}

#[test]
fn a_checkpoint_has_no_adapters_in_it() {
    let folder = tempfile::tempdir().unwrap();
    trained(&lora(&["*"]))
        .save(folder.path(), &base().0)
        .unwrap();
    let read = Weights::open(folder.path(), &base().0, DType::F32, &Device::Cpu).unwrap();
    assert_eq!(difference(&logits(&read), &logits(&base().1)), 0.0);
    let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    assert!(!bytes.windows(6).any(|piece| piece == b".lora_"));
}

/// A copy of PEFT's golden folder with a field of its configuration changed.
fn changed(field: &str, value: Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = goldens().join("lora");
    std::fs::copy(
        from.join("adapter_model.safetensors"),
        folder.path().join("adapter_model.safetensors"),
    )
    .unwrap();
    let mut config: Value =
        serde_json::from_slice(&std::fs::read(from.join("adapter_config.json")).unwrap()).unwrap();
    config[field] = value;
    std::fs::write(
        folder.path().join("adapter_config.json"),
        config.to_string(),
    )
    .unwrap();
    folder
}

#[track_caller]
fn check_foreign(field: &str, value: Value, named: &str) {
    let folder = changed(field, value);
    let error = base()
        .1
        .with_lora_from(folder.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains(named), "{error}");
}

#[test]
fn an_adapter_that_is_more_than_lora_is_refused_by_field() {
    check_foreign("use_dora", json!(true), "use_dora");
    check_foreign("bias", json!("all"), "bias");
    check_foreign("rank_pattern", json!({"q_proj": 4}), "rank_pattern");
    check_foreign("modules_to_save", json!(["lm_head"]), "modules_to_save");
    check_foreign("peft_type", json!("IA3"), "IA3");
    check_foreign("init_lora_weights", json!("pissa"), "init_lora_weights");
}

#[test]
fn a_rank_that_is_not_the_tensors_is_refused_by_tensor() {
    check_foreign("r", json!(4), "lora_A.weight has shape [3, ");
    check_foreign("r", json!(0), "rank 0");
}

#[test]
fn rank_stabilised_adapters_scale_by_the_root_of_the_rank() {
    let folder = changed("use_rslora", json!(true));
    let weights = base().1.with_lora_from(folder.path()).unwrap();
    let scale = weights.lora().unwrap().alpha / 3.0;
    assert!((scale - 5.0 / 3f64.sqrt()).abs() < 1e-12);
}

#[test]
fn targets_that_say_less_than_the_tensors_are_replaced_by_the_modules() {
    let folder = changed("target_modules", json!(".*q_proj"));
    let weights = base().1.with_lora_from(folder.path()).unwrap();
    assert!(
        weights
            .lora()
            .unwrap()
            .targets
            .iter()
            .all(|t| t.starts_with("model."))
    );
}

#[track_caller]
fn check_tensors(rename: impl Fn(&str) -> Option<String>, named: &str) {
    let folder = changed("r", json!(3));
    let path = folder.path().join("adapter_model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let renamed = tensors
        .into_iter()
        .filter_map(|(name, tensor)| Some((rename(&name)?, tensor)));
    candle_core::safetensors::save(&renamed.collect(), &path).unwrap();
    let error = base()
        .1
        .with_lora_from(folder.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains(named), "{error}");
}

#[test]
fn half_an_adapter_is_refused() {
    let lost = "base_model.model.model.projector.readout.0.lora_B.weight";
    check_tensors(|name| (name != lost).then(|| name.to_owned()), lost);
}

#[test]
fn an_adapter_for_another_model_is_refused() {
    check_tensors(
        |name| Some(name.replace("layers.1.", "layers.7.")),
        "layers.7.",
    );
}

#[test]
fn an_adapter_with_the_originals_names_fits_the_same_layers() {
    let folder = changed("r", json!(3));
    let path = folder.path().join("adapter_model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let original = |name: String| {
        name.replace("model.language_model.", "model.")
            .replace("model.vision_model.", "model.vision_encoder.")
            .replace("model.projector.", "model.mm_projector.")
    };
    let renamed = tensors
        .into_iter()
        .map(|(name, tensor)| (original(name), tensor));
    candle_core::safetensors::save(&renamed.collect(), &path).unwrap();
    let ours = base().1.with_lora_from(folder.path()).unwrap();
    let port = base().1.with_lora_from(&goldens().join("lora")).unwrap();
    assert_eq!(difference(&logits(&ours), &logits(&port)), 0.0);
}
