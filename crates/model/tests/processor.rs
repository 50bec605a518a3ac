//! The processor against `transformers`' port and the original's rules, on every golden case.
//! The files are described in `goldens/README.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod conversations;

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use conversations::{goldens, ids, json, media, open, prepare};
use model::Purpose;

/// What a pixel value is for each byte, in the reference's arithmetic.
fn from_byte(folder: &str, byte: u8) -> f32 {
    if folder == "original" {
        ((f64::from(byte) * (1.0 / 255.0)) as f32 - 0.5) / 0.5
    } else {
        (f32::from(byte) - 127.5) / 127.5
    }
}

/// Prompt, tokens, spans, grids, masks and pixel values of one case are exactly the reference's.
#[track_caller]
fn check(folder: &str, case: &str) {
    let golden = json(&format!("{folder}/{case}.json"));
    let tensors: HashMap<String, Tensor> = candle_core::safetensors::load(
        goldens().join(format!("{folder}/{case}.safetensors")),
        &Device::Cpu,
    )
    .unwrap();
    let processor = open(folder);
    let mut images = Vec::new();
    let mut videos = Vec::new();
    let mut in_order = Vec::new();
    for prompt in golden["prompts"].as_array().unwrap() {
        let prepared = prepare(&processor, prompt, Purpose::Generation);
        assert_eq!(
            prepared.sequence.prompt,
            prompt["expanded"].as_str().unwrap()
        );
        assert_eq!(prepared.sequence.input_ids, ids(&prompt["input_ids"]));
        assert_eq!(prepared.sequence.vision.len(), prepared.vision.len());
        for (runs, input) in prepared.sequence.vision.iter().zip(&prepared.vision) {
            let lengths: Vec<usize> = runs.iter().map(ExactSizeIterator::len).collect();
            assert_eq!(lengths, input.kept_per_frame());
        }
        for (input, loaded) in prepared.vision.into_iter().zip(media(prompt)) {
            in_order.push(input.clone());
            if loaded.is_video {
                videos.push(input);
            } else {
                images.push(input);
            }
        }
    }
    // The port lists images first, the original everything in order.
    let inputs = if folder == "original" {
        in_order
    } else {
        [images, videos].concat()
    };
    let wanted = golden["vision"].as_array().unwrap();
    assert_eq!(inputs.len(), wanted.len());
    for (input, want) in inputs.iter().zip(wanted) {
        let name = want["name"].as_str().unwrap();
        assert_eq!(serde_json::json!(input.grid), want["grid"], "{name}");
        assert_eq!(
            input.merge as u64,
            want["merge"].as_u64().unwrap(),
            "{name}"
        );
        let keep: Vec<u8> = input.keep.iter().map(|kept| u8::from(*kept)).collect();
        assert_eq!(serde_json::json!(keep), want["keep"], "{name}");
        let bytes = tensors[&format!("{name}.pixels")]
            .flatten_all()
            .unwrap()
            .to_vec1::<u8>()
            .unwrap();
        let pixels: Vec<f32> = bytes
            .into_iter()
            .map(|byte| from_byte(folder, byte))
            .collect();
        assert!(
            input.pixel_values == pixels,
            "pixel values of {name} differ"
        );
    }
}

macro_rules! cases {
    ($($name:ident: $folder:literal $case:literal;)*) => {
        $(#[test] fn $name() { check($folder, $case); })*
    };
}

cases! {
    grouped_text: "grouped" "text";
    grouped_image: "grouped" "image";
    grouped_images_of_odd_ratios: "grouped" "images";
    grouped_video_with_dropped_tokens: "grouped" "video";
    grouped_video_that_hardly_moves: "grouped" "still";
    grouped_turns_with_image_and_video: "grouped" "mixed";
    grouped_batch: "grouped" "batch";
    sharded_text: "sharded" "text";
    sharded_image_merged_by_two: "sharded" "image";
    sharded_images: "sharded" "images";
    sharded_video: "sharded" "video";
    sharded_mixed: "sharded" "mixed";
    heads_text: "heads" "text";
    heads_image: "heads" "image";
    heads_video_merged_by_one: "heads" "still";
    heads_batch: "heads" "batch";
    older_files_text: "half" "text";
    older_files_image: "half" "image";
    older_files_video: "half" "video";
    older_files_mixed: "half" "mixed";
    original_text: "original" "text";
    original_image: "original" "image";
    original_images: "original" "images";
    original_video: "original" "video";
    original_still_with_rounded_times: "original" "still";
    original_mixed_merges: "original" "mixed";
}
