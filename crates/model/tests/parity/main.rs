//! The network against `transformers` on tiny random checkpoints; see `goldens/README.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

// B prompts, S sequence, E width, V vocabulary

mod case;
mod packed;

use candle_core::{DType, Device, Tensor};
use case::{Case, goldens};
use model::VideoLlama3;
use model::generate::{Flow, Generation};
use model::sampling::Sampling;

/// Largest difference allowed, relative to the largest value of the golden.
const TOLERANCE: f32 = 1e-4;

#[track_caller]
fn assert_close(what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let flat = |x: &Tensor| {
        x.to_dtype(DType::F32)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    let (got, want) = (flat(got), flat(want));
    let scale = want.iter().fold(0f32, |max, x| max.max(x.abs()));
    let error = got
        .iter()
        .zip(&want)
        .fold(0f32, |max, (a, b)| max.max((a - b).abs()));
    assert!(
        error <= TOLERANCE * scale,
        "{what}: off by {error} on a scale of {scale}"
    );
}

fn greedy(max_tokens: usize) -> Generation {
    Generation {
        max_tokens,
        sampling: Sampling::GREEDY,
        seed: 0,
        stop_tokens: Vec::new(),
    }
}

/// Features, hidden states, logits and greedy tokens of every prompt of a case, alone.
#[track_caller]
fn check(folder: &str, name: &str) {
    let case = Case::open(folder, name);
    for (name, input) in case.vision(folder) {
        let Some(want) = case.tensors.get(&format!("{name}.features")) else {
            continue;
        };
        let got = case.network.features(&input).unwrap();
        let kept: Vec<u32> = (0u32..)
            .zip(&input.keep)
            .filter_map(|(i, keep)| keep.then_some(i))
            .collect();
        let want = if want.dim(0).unwrap() == kept.len() {
            want.clone()
        } else {
            let count = kept.len();
            want.index_select(&Tensor::from_vec(kept, count, &Device::Cpu).unwrap(), 0)
                .unwrap()
        };
        assert_close(&format!("{name}.features"), &got, &want);
    }
    let embeddings = case.embeddings(folder);
    for (row, (embedding, prompt)) in embeddings.iter().zip(case.prompts()).enumerate() {
        let length = embedding.dim(0).unwrap();
        let hidden = case
            .network
            .hidden(&embedding.unsqueeze(0).unwrap(), None, None)
            .unwrap();
        let want = case.tensors["hidden"].get(row).unwrap();
        let padding = want.dim(0).unwrap() - length;
        assert_close(
            "hidden",
            &hidden.squeeze(0).unwrap(),
            &want.narrow(0, padding, length).unwrap(),
        );

        let logits = case.network.logits(&hidden).unwrap().squeeze(0).unwrap();
        let want = case.tensors["logits"].get(row).unwrap();
        let count = want.dim(0).unwrap();
        assert_close(
            "logits",
            &logits.narrow(0, length - count, count).unwrap(),
            &want,
        );

        if let Some(want) = prompt["generated"].as_array() {
            let want: Vec<u32> = want.iter().map(|id| id.as_u64().unwrap() as u32).collect();
            let got = case
                .network
                .generate(
                    std::slice::from_ref(embedding),
                    &greedy(want.len()),
                    &mut |_, _| Flow::Continue,
                )
                .unwrap();
            assert_eq!(got[0].tokens, want, "greedy tokens");
        }
    }
}

macro_rules! cases {
    ($($test:ident: $folder:literal / $case:literal),+ $(,)?) => {
        $(#[test] fn $test() { check($folder, $case); })+
    };
}

cases! {
    one_image: "grouped" / "image",
    several_images_of_odd_shapes: "grouped" / "images",
    a_video_with_dropped_tokens: "grouped" / "video",
    a_video_that_stands_still: "grouped" / "still",
    images_and_videos_over_several_turns: "grouped" / "mixed",
    text_only: "grouped" / "text",
    a_batch_of_prompts: "grouped" / "batch",
    explicit_head_width_image: "heads" / "image",
    explicit_head_width_video: "heads" / "still",
    explicit_head_width_text: "heads" / "text",
    explicit_head_width_batch: "heads" / "batch",
    sharded_untied_image: "sharded" / "image",
    sharded_untied_video: "sharded" / "video",
    sharded_untied_text: "sharded" / "text",
    weights_in_bf16_image: "half" / "image",
    weights_in_bf16_video: "half" / "video",
    weights_in_bf16_mixed: "half" / "mixed",
    weights_in_bf16_text: "half" / "text",
    original_image: "original" / "image",
    original_images: "original" / "images",
    original_video: "original" / "video",
    original_still: "original" / "still",
    original_mixed: "original" / "mixed",
    original_text: "original" / "text",
    alarm_image: "alarm" / "image",
    alarm_video: "alarm" / "video",
    alarm_mixed: "alarm" / "mixed",
    alarm_text: "alarm" / "text",
}

/// A padded batch gives each prompt what it gets alone.
#[track_caller]
fn check_batch(folder: &str) {
    let case = Case::open(folder, "batch");
    let embeddings = case.embeddings(folder);
    assert!(
        embeddings[0].dim(0).unwrap() != embeddings[1].dim(0).unwrap(),
        "the batch must need padding"
    );
    let together = case
        .network
        .generate(&embeddings, &greedy(16), &mut |_, _| Flow::Continue)
        .unwrap();
    for (embedding, row) in embeddings.iter().zip(&together) {
        let alone = case
            .network
            .generate(std::slice::from_ref(embedding), &greedy(16), &mut |_, _| {
                Flow::Continue
            })
            .unwrap();
        assert_eq!(&alone[0], row);
    }
    let longest = embeddings.iter().map(|e| e.dim(0).unwrap()).max().unwrap();
    let starts: Vec<usize> = embeddings
        .iter()
        .map(|e| longest - e.dim(0).unwrap())
        .collect();
    let rows: Vec<Tensor> = embeddings
        .iter()
        .zip(&starts)
        .map(|(e, &pad)| e.pad_with_zeros(0, pad, 0).unwrap())
        .collect();
    let padding = model::decoder::LeftPadding(starts.clone());
    let hidden = case
        .network
        .hidden(&Tensor::stack(&rows, 0).unwrap(), Some(&padding), None)
        .unwrap();
    for (row, start) in starts.into_iter().enumerate() {
        let part = |x: &Tensor| {
            x.get(row)
                .unwrap()
                .narrow(0, start, longest - start)
                .unwrap()
        };
        assert_close(
            "hidden in a batch",
            &part(&hidden),
            &part(&case.tensors["hidden"]),
        );
    }
}

#[test]
fn a_batch_equals_its_prompts_alone() {
    check_batch("grouped");
}

#[test]
fn a_batch_equals_its_prompts_alone_with_explicit_head_width() {
    check_batch("heads");
}

#[test]
fn cached_steps_equal_one_pass() {
    let case = Case::open("grouped", "mixed");
    let embedding = case.embeddings("grouped").remove(0).unsqueeze(0).unwrap();
    let length = embedding.dim(1).unwrap();
    let whole = case.network.hidden(&embedding, None, None).unwrap();
    let mut cache = case.network.cache(8);
    let mut parts = Vec::new();
    let mut done = 0;
    for count in [length - 7, 4, 1, 1, 1] {
        let part = embedding.narrow(1, done, count).unwrap();
        parts.push(case.network.hidden(&part, None, Some(&mut cache)).unwrap());
        done += count;
    }
    assert_eq!(cache.len(), length);
    assert_close("cached", &Tensor::cat(&parts, 1).unwrap(), &whole);
}

#[track_caller]
fn check_alarm(name: &str) {
    let case = Case::open("alarm", name);
    let embedding = case.embeddings("alarm").remove(0).unsqueeze(0).unwrap();
    let (sequence, _) = case.sequences("alarm").remove(0);
    let hidden = case.network.hidden(&embedding, None, None).unwrap();
    let positions = sequence.alarm.unwrap();
    let alarm = case.network.alarm().unwrap();
    let got = alarm
        .scores(&hidden, positions.visual, positions.textual)
        .unwrap()
        .unwrap();
    let want = &case.json["scores"];
    for (got, want) in [
        (got.visual, &want["visual"]),
        (got.textual, &want["textual"]),
    ] {
        assert!(
            (f64::from(got) - want.as_f64().unwrap()).abs() < 1e-4,
            "{got} is not {want}"
        );
    }
}

#[test]
fn alarm_heads_of_a_video() {
    check_alarm("video");
}

#[test]
fn alarm_heads_of_an_image() {
    check_alarm("image");
}

#[test]
fn alarm_heads_of_a_text() {
    check_alarm("text");
}

#[test]
fn half_precision_is_near_single() {
    let folder = goldens().join("half/checkpoint");
    let single = VideoLlama3::open(&folder, DType::F32, &Device::Cpu).unwrap();
    let half = VideoLlama3::open(&folder, DType::BF16, &Device::Cpu).unwrap();
    let case = Case::open("half", "video");
    let (sequence, media) = case.sequences("half").remove(0);
    let logits = |network: &VideoLlama3| {
        let features: Vec<Tensor> = media
            .iter()
            .map(|input| network.features(input).unwrap())
            .collect();
        let embedding = network
            .embed(&sequence, &features)
            .unwrap()
            .unsqueeze(0)
            .unwrap();
        let hidden = network.hidden(&embedding, None, None).unwrap();
        network
            .logits(&hidden)
            .unwrap()
            .to_dtype(DType::F32)
            .unwrap()
    };
    let (single, half) = (logits(&single), logits(&half));
    let scalar = |x: Tensor| x.to_scalar::<f32>().unwrap();
    let error = scalar(
        (&single - &half)
            .unwrap()
            .abs()
            .unwrap()
            .mean_all()
            .unwrap(),
    );
    let scale = scalar(single.abs().unwrap().mean_all().unwrap());
    assert!(
        error > 0.0 && error < 0.05 * scale,
        "off by {error} on a scale of {scale}"
    );
}
