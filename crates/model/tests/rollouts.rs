//! Several continuations of several prompts against one prompt at a time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use model::generate::{Flow, Generated, Generation};
use model::rollout::Rollouts;
use model::sampling::Sampling;
use model::{Message, Processor, Purpose, Role, VideoLlama3};

const PER_PROMPT: usize = 3;
const SEEDS: [u64; 3] = [5, 6, 7];

fn network() -> (VideoLlama3, Vec<Tensor>) {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let folder = goldens.join("grouped/checkpoint");
    let network = VideoLlama3::open(&folder, DType::F32, &Device::Cpu).unwrap();
    let processor = Processor::open(&folder).unwrap();
    let prompts = ["square", "What moves to the right?", "a"].map(|words| {
        let message = [Message::text(Role::User, words)];
        let prepared = processor
            .prepare(&message, &[], Purpose::Generation)
            .unwrap();
        network.embed(&prepared.sequence, &[]).unwrap()
    });
    (network, prompts.into())
}

fn generation(temperature: f64, stop_tokens: Vec<u32>) -> Generation {
    Generation {
        max_tokens: 12,
        sampling: Sampling {
            temperature,
            top_k: 0,
            top_p: 0.95,
        },
        seed: 0,
        stop_tokens,
    }
}

/// Each prompt by itself, its rows as copies of it.
fn alone(
    network: &VideoLlama3,
    prompts: &[Tensor],
    generation: &Generation,
) -> Vec<Vec<Generated>> {
    let of = |(prompt, seed): (&Tensor, &u64)| {
        let generation = Generation {
            seed: *seed,
            ..generation.clone()
        };
        let rows = vec![prompt.clone(); PER_PROMPT];
        let go_on = &mut |_, _| Flow::Continue;
        network.generate(&rows, &generation, go_on).unwrap()
    };
    prompts.iter().zip(&SEEDS).map(of).collect()
}

#[track_caller]
fn check(generation: &Generation) -> Vec<Vec<Generated>> {
    let (network, prompts) = network();
    let asked = Rollouts {
        prompts: &prompts,
        per_prompt: PER_PROMPT,
        seeds: &SEEDS,
    };
    let found = network.rollouts(asked, generation).unwrap();
    assert_eq!(found, alone(&network, &prompts, generation));
    found
}

#[test]
fn greedy_rollouts_are_what_each_prompt_gives_alone() {
    check(&generation(0.0, vec![]));
}

#[test]
fn drawn_rollouts_are_what_each_prompt_gives_alone() {
    let found = check(&generation(1.0, vec![]));
    assert_ne!(found[0][0], found[0][1], "rows draw for themselves");
}

#[test]
fn rows_that_end_leave_the_others_as_they_are() {
    // Tokens that are drawn now and then end a row.
    let stops: Vec<u32> = check(&generation(1.0, vec![]))
        .iter()
        .flatten()
        .filter_map(|row| row.tokens.get(4).copied())
        .take(3)
        .collect();
    let found = check(&generation(1.0, stops));
    let lengths: Vec<usize> = found.iter().flatten().map(|row| row.tokens.len()).collect();
    assert!(
        lengths.iter().any(|&length| length < 12) && lengths.contains(&12),
        "{lengths:?}"
    );
}

#[test]
fn a_prompt_without_a_seed_is_refused() {
    let (network, prompts) = network();
    let asked = Rollouts {
        prompts: &prompts,
        per_prompt: 1,
        seeds: &SEEDS[..2],
    };
    let error = network
        .rollouts(asked, &generation(0.0, vec![]))
        .unwrap_err();
    assert!(error.to_string().contains("2 seeds"), "{error}");
}
