//! Packed rows against `transformers`: the prompts of a case in one row, and the gradients of the two
//! training samples in one row.

use candle_core::{D, DType, Device, Tensor};
use model::{Config, Packing, Recompute, VideoLlama3, Weights};
use serde_json::Value;

use crate::assert_close;
use crate::case::{Case, goldens};

/// The prompts of a case and the first of them again, in one row.
#[track_caller]
fn check(folder: &str, name: &str) {
    let case = Case::open(folder, name);
    let mut embeddings = case.embeddings(folder);
    embeddings.push(embeddings[0].clone());
    let lengths: Vec<usize> = embeddings.iter().map(|e| e.dim(0).unwrap()).collect();
    let packing = Packing::apart(&lengths).unwrap();
    let row = Tensor::cat(&embeddings, 0).unwrap();
    let hidden = case.network.hidden_packed(&row, &packing, None).unwrap();
    for (index, length) in lengths.iter().enumerate() {
        let want = case.tensors["hidden"]
            .get(index % (lengths.len() - 1))
            .unwrap();
        let padding = want.dim(0).unwrap() - length;
        assert_close(
            "hidden in a packed row",
            &hidden
                .narrow(0, packing.range(index).start, *length)
                .unwrap(),
            &want.narrow(0, padding, *length).unwrap(),
        );
    }
}

macro_rules! cases {
    ($($test:ident: $folder:literal / $case:literal),+ $(,)?) => {
        $(#[test] fn $test() { check($folder, $case); })+
    };
}

cases! {
    a_packed_image: "grouped" / "image",
    a_packed_video: "grouped" / "video",
    packed_turns: "grouped" / "mixed",
    packed_prompts: "grouped" / "batch",
    packed_prompts_with_explicit_head_width: "heads" / "batch",
    a_packed_video_with_a_key_for_each_head: "sharded" / "video",
    packed_weights_in_bf16: "half" / "mixed",
    packed_in_the_original_form: "original" / "mixed",
    packed_alarm_tokens: "alarm" / "video",
}

/// The mean over all targets of both samples, and every gradient of it.
#[track_caller]
fn check_gradients(recompute: Option<&Recompute>) {
    let read = |name: &str| std::fs::read(goldens().join("training").join(name)).unwrap();
    let training: Value = serde_json::from_slice(&read("training.json")).unwrap();
    let checkpoint = goldens().join("grouped/checkpoint");
    let config = Config::open(&checkpoint).unwrap();
    let weights = Weights::open(&checkpoint, &config, DType::F32, &Device::Cpu).unwrap();
    let (weights, variables) = weights.into_trainable(|_| true).unwrap();
    let network = VideoLlama3::new(config, &weights, None).unwrap();

    let mut embeddings = Vec::new();
    let (mut places, mut targets, mut rows) = (Vec::new(), Vec::new(), 0);
    for sample in training["samples"].as_array().unwrap() {
        let case = Case::open("grouped", sample["case"].as_str().unwrap());
        let (mut sequence, media) = case.sequences("grouped").remove(0);
        sequence.input_ids = serde_json::from_value(sample["input_ids"].clone()).unwrap();
        let features: Vec<Tensor> = media
            .iter()
            .map(|input| network.features(input).unwrap())
            .collect();
        embeddings.push(network.embed(&sequence, &features).unwrap());
        let labels: Vec<i64> = serde_json::from_value(sample["labels"].clone()).unwrap();
        for (position, label) in labels.iter().enumerate().skip(1) {
            if let Ok(token) = u32::try_from(*label) {
                places.push(rows + position as u32 - 1);
                targets.push(token);
            }
        }
        rows += labels.len() as u32;
    }
    let lengths: Vec<usize> = embeddings.iter().map(|e| e.dim(0).unwrap()).collect();
    let packing = Packing::apart(&lengths).unwrap();
    let row = Tensor::cat(&embeddings, 0).unwrap();
    let hidden = network.hidden_packed(&row, &packing, recompute).unwrap();

    let count = targets.len();
    let places = Tensor::from_vec(places, count, &Device::Cpu).unwrap();
    let targets = Tensor::from_vec(targets, (count, 1), &Device::Cpu).unwrap();
    let logits = network
        .logits(&hidden.index_select(&places, 0).unwrap())
        .unwrap();
    let logprobs = candle_nn::ops::log_softmax(&logits, D::Minus1).unwrap();
    let loss = logprobs.gather(&targets, 1).unwrap().mean_all().unwrap();
    let loss = loss.neg().unwrap();
    let want = Tensor::new(training["losses"][0].as_f64().unwrap() as f32, &Device::Cpu);
    assert_close("loss", &loss, &want.unwrap());

    let outside = loss.backward().unwrap();
    let inside = recompute.map(Recompute::take).unwrap_or_default();
    let golden = goldens().join("training/gradients.safetensors");
    let golden = candle_core::safetensors::load(golden, &Device::Cpu).unwrap();
    let mut compared = 0;
    for (name, variable) in &variables {
        let parts = [outside.get(variable), inside.get(&variable.id())];
        let found = parts
            .into_iter()
            .flatten()
            .cloned()
            .reduce(|a, b| (a + b).unwrap());
        // Keys' biases cancel in softmax: their gradients are noise around zero.
        if name.ends_with("k_proj.bias") {
            continue;
        }
        assert_close(name, &found.unwrap(), &golden[name]);
        compared += 1;
    }
    assert!(compared > 50);
}

#[test]
fn gradients_through_a_packed_row_are_pytorchs() {
    check_gradients(None);
}

#[test]
fn gradients_through_blocks_computed_again_are_pytorchs() {
    check_gradients(Some(&Recompute::new()));
}
