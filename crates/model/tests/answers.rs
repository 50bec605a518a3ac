//! The whole crate: pictures and a question in, the reference's answer out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod conversations;

use candle_core::{DType, Device};
use conversations::{goldens, ids, json, open, prepare};
use model::generate::{Flow, Generation};
use model::sampling::Sampling;
use model::{Processor, Purpose, VideoLlama3};
use serde_json::Value;

/// The greedy tokens, and the text as it streams.
fn answer(processor: &Processor, network: &VideoLlama3, prompt: &Value) -> (Vec<u32>, String) {
    let prepared = prepare(processor, prompt, Purpose::Generation);
    let features: Vec<_> = prepared
        .vision
        .iter()
        .map(|input| network.features(input).unwrap())
        .collect();
    let embeddings = network.embed(&prepared.sequence, &features).unwrap();
    let generation = Generation {
        max_tokens: 16,
        sampling: Sampling::GREEDY,
        seed: 0,
        stop_tokens: Vec::new(),
    };
    let mut stream = processor.tokenizer().stream();
    let mut text = String::new();
    let rows = network
        .generate(&[embeddings], &generation, &mut |_, token| {
            text += &stream.push(token).unwrap();
            Flow::Continue
        })
        .unwrap();
    text += &stream.finish().unwrap();
    (rows[0].tokens.clone(), text)
}

#[track_caller]
fn check(folder: &str, case: &str) {
    let checkpoint = goldens().join(folder).join("checkpoint");
    let network = VideoLlama3::open(&checkpoint, DType::F32, &Device::Cpu).unwrap();
    let processor = open(folder);
    for prompt in json(&format!("{folder}/{case}.json"))["prompts"]
        .as_array()
        .unwrap()
    {
        let (tokens, text) = answer(&processor, &network, prompt);
        assert_eq!(tokens, ids(&prompt["generated"]));
        assert_eq!(text, prompt["generated_text"].as_str().unwrap());
    }
}

#[test]
fn turns_with_an_image_and_a_video_are_answered_as_by_the_port() {
    check("grouped", "mixed");
}

#[test]
fn a_video_is_answered_as_by_the_port() {
    check("sharded", "video");
}

#[test]
fn a_video_that_hardly_moves_is_answered_as_by_the_port() {
    check("heads", "still");
}

#[test]
fn an_image_is_answered_as_by_the_port_with_older_files_and_half_weights() {
    check("half", "image");
}
