//! Alarm tokens that learn, their file, and their registration in checkpoints that lack them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use model::alarm::{Initial, Modality, Registered, register};
use model::{Alarm, Config, Message, Processor, Purpose, Role, Tokenizer, VideoLlama3, Weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

fn checkpoint(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(name)
        .join("checkpoint")
}

fn weights(folder: &Path) -> Weights {
    let config = Config::open(folder).unwrap();
    Weights::open(folder, &config, DType::F32, &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn fresh(initial: Initial, seed: u64) -> Alarm {
    Alarm::fresh(&weights(&checkpoint("grouped")), initial, &mut rng(seed)).unwrap()
}

// ---- fresh ones ---------------------------------------------------------------------------------

#[test]
fn a_zero_alarm_is_zero() {
    let alarm = fresh(Initial::Zero, 1);
    assert_eq!(numbers(&alarm.visual_embedding), [0.0; 32]);
    assert_eq!(numbers(&alarm.textual_embedding), [0.0; 32]);
    assert!(!alarm.has_heads());
}

#[test]
fn a_normal_alarm_has_the_spread_asked_for_and_two_different_embeddings() {
    let alarm = fresh(Initial::Normal { std: 0.02 }, 1);
    let (visual, textual) = (
        numbers(&alarm.visual_embedding),
        numbers(&alarm.textual_embedding),
    );
    assert_ne!(visual, textual);
    let both = visual.iter().chain(&textual);
    let spread = (both.map(|x| x * x).sum::<f32>() / 64.0).sqrt();
    assert!((0.013..0.027).contains(&spread), "{spread}");
}

#[test]
fn a_mean_alarm_is_the_mean_row_of_the_embedding_table() {
    let weights = weights(&checkpoint("grouped"));
    let (rows, width) = weights.embed_tokens().dims2().unwrap();
    let table = numbers(weights.embed_tokens());
    let alarm = fresh(Initial::Mean, 1);
    for (column, found) in numbers(&alarm.visual_embedding).into_iter().enumerate() {
        let sum: f64 = (0..rows)
            .map(|row| f64::from(table[row * width + column]))
            .sum();
        assert!((f64::from(found) - sum / rows as f64).abs() < 1e-6);
    }
}

#[test]
fn the_same_seed_gives_the_same_alarm() {
    let made = |seed| {
        let alarm = fresh(Initial::Normal { std: 1.0 }, seed);
        let alarm = alarm.with_heads(&mut rng(seed)).unwrap();
        alarm
            .iter()
            .flat_map(|(_, t)| numbers(t))
            .collect::<Vec<f32>>()
    };
    assert_eq!(made(5), made(5));
    assert_ne!(made(5), made(6));
}

#[test]
fn heads_begin_inside_the_bound_of_a_linear_layer() {
    let alarm = fresh(Initial::Zero, 1).with_heads(&mut rng(2)).unwrap();
    let names: Vec<&str> = alarm.iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "visual_alarm_embedding",
            "textual_alarm_embedding",
            "visual_head.weight",
            "visual_head.bias",
            "textual_head.weight",
            "textual_head.bias",
        ]
    );
    let bound = 1.0 / 32f32.sqrt();
    for (name, tensor) in alarm.iter().skip(2) {
        let values = numbers(tensor);
        assert!(
            values.iter().all(|x| x.abs() <= bound && *x != 0.0),
            "{name}"
        );
    }
}

#[test]
fn a_spread_that_is_no_number_is_refused() {
    let error = Alarm::fresh(
        &weights(&checkpoint("grouped")),
        Initial::Normal { std: f64::NAN },
        &mut rng(1),
    );
    assert!(error.unwrap_err().to_string().contains("std"));
}

#[track_caller]
fn check_initial(written: &Value, want: Initial) {
    assert_eq!(
        serde_json::from_value::<Initial>(written.clone()).unwrap(),
        want
    );
    assert_eq!(serde_json::to_value(want).unwrap(), *written);
}

#[test]
fn initials_are_written_as_words() {
    check_initial(&json!("zero"), Initial::Zero);
    check_initial(&json!("mean"), Initial::Mean);
    check_initial(
        &json!({"normal": {"std": 0.02}}),
        Initial::Normal { std: 0.02 },
    );
}

// ---- learning -----------------------------------------------------------------------------------

#[test]
fn only_what_is_picked_learns() {
    let alarm = fresh(Initial::Mean, 1).with_heads(&mut rng(2)).unwrap();
    let (_, variables) = alarm
        .into_trainable(|name| name.ends_with("_embedding"))
        .unwrap();
    let names: Vec<&String> = variables.keys().collect();
    assert_eq!(names, ["textual_alarm_embedding", "visual_alarm_embedding"]);
}

#[test]
fn logits_have_gradients_of_the_heads_and_scores_are_their_sigmoid() {
    let alarm = fresh(Initial::Mean, 1).with_heads(&mut rng(2)).unwrap();
    let (alarm, variables) = alarm.into_trainable(|_| true).unwrap();
    let rows = Tensor::randn(0f32, 1.0, (3, 32), &Device::Cpu).unwrap();
    let logits = alarm.logits(Modality::Textual, &rows).unwrap().unwrap();
    assert_eq!(logits.dims(), [3]);
    let gradients = logits.sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&variables["textual_head.weight"]).unwrap();
    let want = rows.sum_keepdim(0).unwrap();
    assert_eq!(numbers(gradient), numbers(&want));
    assert_eq!(
        numbers(gradients.get(&variables["textual_head.bias"]).unwrap()),
        [3.0]
    );
    assert!(gradients.get(&variables["visual_head.weight"]).is_none());
    let scores = alarm
        .scores(&rows.unsqueeze(0).unwrap(), 0, 2)
        .unwrap()
        .unwrap();
    let logit = numbers(&logits)[2];
    assert!((scores.textual - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
}

#[test]
fn an_alarm_without_heads_has_no_logits() {
    let rows = Tensor::zeros((3, 32), DType::F32, &Device::Cpu).unwrap();
    let logits = fresh(Initial::Zero, 1).logits(Modality::Visual, &rows);
    assert!(logits.unwrap().is_none());
}

#[track_caller]
fn check_saved(alarm: &Alarm) {
    let folder = tempfile::tempdir().unwrap();
    alarm.save(folder.path()).unwrap();
    let read = Alarm::open(folder.path(), 32, DType::F32, &Device::Cpu);
    let read = read.unwrap().unwrap();
    let list = |alarm: &Alarm| -> Vec<(&'static str, Vec<f32>)> {
        alarm.iter().map(|(name, t)| (name, numbers(t))).collect()
    };
    assert_eq!(list(&read), list(alarm));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_was_learned_is_what_is_saved() {
    let (alarm, variables) = fresh(Initial::Zero, 1).into_trainable(|_| true).unwrap();
    let variable = &variables["visual_alarm_embedding"];
    variable
        .set(&(variable.as_tensor() + 0.5).unwrap())
        .unwrap();
    assert_eq!(numbers(&alarm.visual_embedding), [0.5; 32]);
    check_saved(&alarm);
}

#[test]
fn heads_are_saved_with_the_embeddings() {
    check_saved(&fresh(Initial::Mean, 1).with_heads(&mut rng(3)).unwrap());
}

// ---- registration -------------------------------------------------------------------------------

/// A copy of a golden checkpoint in which the alarm tokens, if any, have other names, with `fillers`
/// more special tokens.
fn without_alarm(name: &str, fillers: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(checkpoint(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut file: Value = serde_json::from_str(&text.replace("_alarm|>", "_other|>")).unwrap();
    let list = file["added_tokens"].as_array_mut().unwrap();
    for filler in 0..fillers {
        let mut entry = list.last().unwrap().clone();
        entry["id"] = json!(entry["id"].as_u64().unwrap() + 1);
        entry["content"] = json!(format!("<|filler_{filler}|>"));
        list.push(entry);
    }
    std::fs::write(&path, file.to_string()).unwrap();
    folder
}

fn registered(source: &Path) -> (Registered, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("with-alarm");
    let done = register(source, &out).unwrap();
    (done, folder, out)
}

fn question(processor: &Processor) -> Vec<u32> {
    let messages = [Message::text(Role::User, "How many shapes are there?")];
    let prepared = processor.prepare(&messages, &[], Purpose::Generation);
    prepared.unwrap().sequence.input_ids
}

/// Logits after a question without alarm tokens, of the tokens that both models know.
fn answer(folder: &Path, vocabulary: usize) -> Vec<f32> {
    let network = VideoLlama3::open(folder, DType::F32, &Device::Cpu).unwrap();
    let ids = question(&Processor::open(folder).unwrap());
    let embedded = network.embed_next(&ids).unwrap().transpose(0, 1).unwrap();
    let hidden = network.hidden(&embedded, None, None).unwrap();
    let last = hidden.narrow(1, ids.len() - 1, 1).unwrap();
    let logits = network.logits(&last).unwrap();
    numbers(&logits.narrow(2, 0, vocabulary).unwrap())
}

#[track_caller]
fn check_registered(source: &Path, new_rows: usize) {
    let (done, _kept, out) = registered(source);
    assert_eq!(done.new_rows, new_rows);
    let (before, after) = (Config::open(source).unwrap(), Config::open(&out).unwrap());
    assert_eq!(after.text.vocab_size, before.text.vocab_size + new_rows);
    let vocabulary = before.text.vocab_size;
    assert_eq!(answer(&out, vocabulary), answer(source, vocabulary));

    let mut processor = Processor::open(&out).unwrap();
    processor.use_alarm().unwrap();
    let ids = question(&processor);
    for id in [done.visual, done.textual] {
        assert_eq!(ids.iter().filter(|found| **found == id).count(), 1);
    }
    let table = weights(&out).embed_tokens().clone();
    for row in vocabulary..vocabulary + new_rows {
        let row = numbers(&table.get(row).unwrap());
        assert!(row.iter().all(|x| x.is_finite() && *x != 0.0));
    }
}

#[test]
fn a_table_without_room_grows_by_two_rows() {
    check_registered(&checkpoint("grouped"), 2);
}

#[test]
fn a_table_with_room_stays() {
    check_registered(&checkpoint("heads"), 0);
}

#[test]
fn a_bf16_table_grows() {
    check_registered(without_alarm("half", 0).path(), 2);
}

#[test]
fn tables_in_shards_grow_with_the_output_layer() {
    check_registered(without_alarm("sharded", 12).path(), 1);
}

#[test]
fn an_original_checkpoint_grows_under_its_own_names() {
    let source = without_alarm("original", 0);
    let room = Config::open(source.path()).unwrap().text.vocab_size
        - Tokenizer::open(source.path()).unwrap().vocabulary();
    check_registered(source.path(), 2usize.saturating_sub(room));
    check_registered(without_alarm("original", room).path(), 2);
}

#[test]
fn a_checkpoint_that_has_the_tokens_stays_as_it_is() {
    let source = checkpoint("sharded");
    let (done, _kept, out) = registered(&source);
    assert_eq!(done.new_rows, 0);
    for entry in std::fs::read_dir(&source).unwrap() {
        let entry = entry.unwrap();
        let copied = std::fs::read(out.join(entry.file_name())).unwrap();
        assert!(copied == std::fs::read(entry.path()).unwrap(), "{entry:?}");
    }
}

#[test]
fn older_files_that_list_tokens_list_the_new_ones_too() {
    let source = without_alarm("grouped", 0);
    let file = |name: &str| source.path().join(name);
    let config = json!({"added_tokens_decoder": {}, "additional_special_tokens": ["<|im_start|>"]});
    std::fs::write(file("tokenizer_config.json"), config.to_string()).unwrap();
    std::fs::write(file("added_tokens.json"), r#"{"<|im_end|>": 306}"#).unwrap();
    let (done, _kept, out) = registered(source.path());
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(out.join(name)).unwrap()).unwrap()
    };
    let config = read("tokenizer_config.json");
    let entry = &config["added_tokens_decoder"][done.visual.to_string()];
    assert_eq!(entry["content"], "<|visual_alarm|>");
    assert_eq!(entry["special"], true);
    let listed = json!(["<|im_start|>", "<|visual_alarm|>", "<|textual_alarm|>"]);
    assert_eq!(config["additional_special_tokens"], listed);
    assert_eq!(read("added_tokens.json")["<|textual_alarm|>"], done.textual);
}

#[test]
fn a_folder_that_exists_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let error = register(&checkpoint("grouped"), folder.path()).unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
}

#[test]
fn a_word_that_is_no_special_token_is_refused() {
    let source = without_alarm("grouped", 1);
    let path = source.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut file: Value =
        serde_json::from_str(&text.replace("<|filler_0|>", "<|visual_alarm|>")).unwrap();
    let list = file["added_tokens"].as_array_mut().unwrap();
    list.last_mut().unwrap()["special"] = json!(false);
    std::fs::write(&path, file.to_string()).unwrap();
    let out = source.path().join("out");
    let error = register(source.path(), &out).unwrap_err();
    assert!(error.to_string().contains("not a special one"), "{error}");
    assert!(!out.exists());
}
