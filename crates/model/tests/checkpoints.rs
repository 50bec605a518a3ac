//! Checkpoint folders in and out: what is wrong with one is said with its names and shapes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use model::{Config, Weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(folder)
        .join("checkpoint")
}

/// A copy of a golden checkpoint that a test may break.
fn copy(folder: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(folder)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn open(folder: &Path) -> model::Result<Weights> {
    let config = Config::open(folder)?;
    Weights::open(folder, &config, DType::F32, &Device::Cpu)
}

/// Opening `folder` fails, and the message holds all of `words`.
#[track_caller]
fn check(folder: &Path, words: &[&str]) {
    let message = open(folder)
        .expect_err("the checkpoint is broken")
        .to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

fn rewrite(folder: &Path, change: impl FnOnce(&mut std::collections::HashMap<String, Tensor>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

#[test]
fn a_missing_tensor_is_named_with_its_shape_and_folder() {
    let folder = copy("grouped");
    rewrite(folder.path(), |tensors| {
        tensors.remove("model.projector.readout.2.weight");
    });
    let place = folder.path().display().to_string();
    check(
        folder.path(),
        &["model.projector.readout.2.weight", "[32, 32]", &place],
    );
}

#[test]
fn a_wrong_shape_is_named_with_both_shapes_and_the_file() {
    let folder = copy("grouped");
    rewrite(folder.path(), |tensors| {
        let wrong = Tensor::zeros((3, 5), DType::F32, &Device::Cpu).unwrap();
        tensors.insert(
            "model.language_model.layers.0.self_attn.k_proj.weight".to_owned(),
            wrong,
        );
    });
    check(
        folder.path(),
        &[
            "self_attn.k_proj.weight",
            "[3, 5]",
            "[16, 32]",
            "model.safetensors",
        ],
    );
}

#[test]
fn a_file_that_was_cut_short_is_named() {
    let folder = copy("grouped");
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    check(folder.path(), &["model.safetensors", "cut short"]);
}

#[test]
fn a_header_that_claims_more_than_the_file_is_refused() {
    let folder = copy("grouped");
    std::fs::write(folder.path().join("model.safetensors"), [0xff; 64]).unwrap();
    check(
        folder.path(),
        &["model.safetensors", "not a safetensors file"],
    );
}

#[test]
fn an_index_may_not_leave_its_folder() {
    let folder = copy("sharded");
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, r#"{"weight_map": {"a": "../secret.safetensors"}}"#).unwrap();
    check(folder.path(), &["../secret.safetensors", "index.json"]);
}

#[test]
fn a_missing_shard_is_named() {
    let folder = copy("sharded");
    std::fs::remove_file(folder.path().join("model-00002-of-00003.safetensors")).unwrap();
    check(folder.path(), &["model-00002-of-00003.safetensors"]);
}

#[test]
fn a_folder_without_weights_says_what_belongs_there() {
    let folder = copy("grouped");
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    check(folder.path(), &["model.safetensors", "Hugging Face"]);
}

#[test]
fn another_architecture_is_refused_by_its_name() {
    let folder = copy("grouped");
    std::fs::write(
        folder.path().join("config.json"),
        r#"{"model_type": "llama"}"#,
    )
    .unwrap();
    check(folder.path(), &["llama", "video_llama_3", "config.json"]);
}

#[test]
fn a_config_without_a_vision_part_is_refused() {
    let folder = copy("grouped");
    std::fs::write(
        folder.path().join("config.json"),
        r#"{"model_type": "video_llama_3", "text_config": {}}"#,
    )
    .unwrap();
    check(folder.path(), &["config.json"]);
}

#[test]
fn both_layouts_hold_the_same_weights() {
    let (port, original) = (
        open(&golden("sharded")).unwrap(),
        open(&golden("original")).unwrap(),
    );
    for ((name, a), (same, b)) in port.iter().zip(original.iter()) {
        assert_eq!(name, same);
        let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(a), flat(b), "{name}");
    }
}

/// Weights come back from disk as they were, under the names of their layout.
#[track_caller]
fn check_round_trip(folder: &str, first_name: &str) {
    let weights = open(&golden(folder)).unwrap();
    let config = Config::open(&golden(folder)).unwrap();
    let out = tempfile::tempdir().unwrap();
    std::fs::copy(
        golden(folder).join("config.json"),
        out.path().join("config.json"),
    )
    .unwrap();
    weights.save(out.path(), &config).unwrap();
    let written =
        candle_core::safetensors::load(out.path().join("model.safetensors"), &Device::Cpu).unwrap();
    assert!(
        written.contains_key(first_name),
        "{first_name} is not among the names written"
    );
    let back = open(out.path()).unwrap();
    for ((name, a), (_, b)) in weights.iter().zip(back.iter()) {
        let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(a), flat(b), "{name}");
    }
}

#[test]
fn port_weights_round_trip() {
    check_round_trip("grouped", "model.projector.readout.0.weight");
}

#[test]
fn original_weights_round_trip() {
    check_round_trip("original", "model.mm_projector.readout.0.weight");
}

#[test]
fn one_seed_gives_the_same_weights() {
    let config = Config::open(&golden("grouped")).unwrap();
    let draw = |seed| {
        let weights = Weights::random(&config, 0.02, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        weights
            .iter()
            .flat_map(|(_, x)| x.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn the_port_layout_of_a_config_reads_back_the_same() {
    let config = Config::open(&golden("grouped")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("config.json"),
        config.to_port_json().to_string(),
    )
    .unwrap();
    assert_eq!(Config::open(folder.path()).unwrap(), config);
}
