//! Sequences in one row get what they get alone: hidden states and the gradients of every weight;
//! computed at once or block by block again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

// S row, E width

mod row;

use candle_core::{DType, Device, Tensor, Var};
use model::{LoraConfig, Packing, Recompute, Segment, VideoLlama3};
use proptest::prelude::{Just, Strategy, any, proptest};
use proptest::test_runner::Config as Runs;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use row::{Trained, alone, assert_close, noise, segment};

/// A packed row against its sequences alone, in values and in gradients. Every position's hidden state
/// counts in the loss, with weights of its own.
#[track_caller]
fn check(trained: &Trained, segments: Vec<Segment>, recompute: Option<&Recompute>) {
    let packing = Packing::new(segments).unwrap();
    let width = trained.width();
    let row = Var::from_tensor(&noise((packing.rows(), width), 1)).unwrap();
    let pull = noise((packing.rows(), width), 2);

    let packed = trained
        .network
        .hidden_packed(&row, &packing, recompute)
        .unwrap();
    let apart = alone(&trained.network, &row, &packing);
    assert_close("hidden", &packed, &apart);

    let gradients = |hidden: &Tensor, recompute: Option<&Recompute>| {
        let loss = (hidden * &pull).unwrap().sum_all().unwrap();
        trained.gradients(&loss, &row, recompute)
    };
    let want = gradients(&apart, None);
    let got = gradients(&packed, recompute);
    assert_eq!(got.len(), want.len(), "as many have a gradient");
    for (name, want) in &want {
        assert_close(name, &got[name], want);
    }
}

fn apart() -> Vec<Segment> {
    vec![segment(5, None), segment(1, None), segment(9, None)]
}

/// A prompt, four answers to it, something else between them, and two ways on from an answer.
fn tree() -> Vec<Segment> {
    vec![
        segment(7, None),
        segment(3, Some(0)),
        segment(4, Some(0)),
        segment(5, None),
        segment(3, Some(0)),
        segment(1, Some(0)),
        segment(2, Some(2)),
        segment(6, Some(2)),
        segment(2, Some(3)),
    ]
}

#[test]
fn sequences_in_a_row_do_not_see_each_other() {
    check(&Trained::open("grouped"), apart(), None);
}

#[test]
fn one_sequence_is_a_row() {
    check(&Trained::open("grouped"), vec![segment(12, None)], None);
}

#[test]
fn answers_share_their_prompt() {
    check(&Trained::open("grouped"), tree(), None);
}

#[test]
fn answers_share_their_prompt_with_a_key_for_each_head() {
    check(&Trained::open("sharded"), tree(), None);
}

#[test]
fn answers_share_their_prompt_with_explicit_head_width() {
    check(&Trained::open("heads"), tree(), None);
}

#[test]
fn blocks_computed_again_give_the_same_gradients() {
    check(&Trained::open("grouped"), tree(), Some(&Recompute::new()));
}

#[test]
fn blocks_computed_again_give_the_same_gradients_with_explicit_head_width() {
    check(&Trained::open("heads"), apart(), Some(&Recompute::new()));
}

fn lora(dropout: f64) -> LoraConfig {
    LoraConfig {
        rank: 2,
        alpha: 4.0,
        dropout,
        targets: ["q_proj", "v_proj", "o_proj", "up_proj"]
            .map(str::to_owned)
            .to_vec(),
    }
}

#[test]
fn adapters_are_trained_through_a_packed_row() {
    check(&Trained::adapted("grouped", &lora(0.0)), tree(), None);
}

#[test]
fn adapters_in_blocks_computed_again_get_their_gradients() {
    let trained = Trained::adapted("grouped", &lora(0.0));
    check(&trained, tree(), Some(&Recompute::new()));
}

/// Gradients by computing blocks again against gradients by keeping everything.
#[track_caller]
fn check_again(trained: &Trained, network: &VideoLlama3, row: &Tensor) {
    let packing = Packing::new(tree()).unwrap();
    let pull = noise((packing.rows(), trained.width()), 2);
    let by_name = |recompute: Option<&Recompute>| {
        let hidden = network.hidden_packed(row, &packing, recompute).unwrap();
        let loss = (hidden * &pull).unwrap().sum_all().unwrap();
        trained.gradients(&loss, row, recompute)
    };
    let (mut kept, mut again) = (by_name(None), by_name(Some(&Recompute::new())));
    if !row.is_variable() {
        // candle keeps a gradient of a leaf that nobody asked for.
        kept.remove("row");
        again.remove("row");
    }
    assert!(kept.len() > 1);
    assert!(again.keys().eq(kept.keys()));
    for (name, want) in &kept {
        assert_close(name, &again[name], want);
    }
}

#[test]
fn a_block_computed_again_drops_what_it_dropped() {
    let trained = Trained::adapted("grouped", &lora(0.5));
    let network = trained.network.with_dropout(3);
    let rows = Packing::new(tree()).unwrap().rows();
    let row = Var::from_tensor(&noise((rows, trained.width()), 1)).unwrap();
    check_again(&trained, &network, &row);
}

#[test]
fn blocks_are_trained_from_a_row_that_is_not() {
    let trained = Trained::open("grouped");
    let rows = Packing::new(tree()).unwrap().rows();
    let row = noise((rows, trained.width()), 1);
    check_again(&trained, &trained.network, &row);
}

#[test]
fn gradients_of_several_rows_add_up_until_they_are_taken() {
    let trained = Trained::open("grouped");
    let packing = Packing::new(tree()).unwrap();
    let row = noise((packing.rows(), trained.width()), 1);
    let recompute = Recompute::new();
    let backward = || {
        let hidden = trained
            .network
            .hidden_packed(&row, &packing, Some(&recompute))
            .unwrap();
        hidden.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    };
    backward();
    let once = recompute.take();
    assert!(recompute.take().is_empty());
    backward();
    backward();
    let twice = recompute.take();
    assert_eq!(once.len(), twice.len());
    for (id, once) in &once {
        assert_close("twice the gradient", &twice[id], &(once * 2.0).unwrap());
    }
}

#[test]
fn a_frozen_network_has_nothing_to_compute_again() {
    let trained = Trained::open("grouped");
    let packing = Packing::new(tree()).unwrap();
    let row = noise((packing.rows(), trained.width()), 1);
    let hidden = trained
        .frozen()
        .hidden_packed(&row, &packing, Some(&Recompute::new()))
        .unwrap();
    assert!(!hidden.track_op());
    let want = alone(&trained.frozen(), &row, &packing);
    assert_close("hidden", &hidden, &want);
}

#[test]
fn half_precision_rows_are_near_single() {
    let trained = Trained::open("half");
    let packing = Packing::new(tree()).unwrap();
    let row = noise((packing.rows(), trained.width()), 1);
    let half = trained.in_half();
    let got = half
        .hidden_packed(&row.to_dtype(DType::BF16).unwrap(), &packing, None)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap();
    let want = alone(&trained.frozen(), &row, &packing);
    let mean = |x: Tensor| x.abs().unwrap().mean_all().unwrap().to_scalar::<f32>();
    let error = mean((&got - &want).unwrap()).unwrap();
    let scale = mean(want).unwrap();
    assert!(
        error > 0.0 && error < 0.05 * scale,
        "off by {error} on a scale of {scale}"
    );
}

#[test]
fn a_row_of_another_length_than_its_segments_is_refused() {
    let trained = Trained::open("grouped");
    let row = Tensor::zeros((4, trained.width()), DType::F32, &Device::Cpu).unwrap();
    let packing = Packing::apart(&[2, 3]).unwrap();
    let error = trained
        .network
        .hidden_packed(&row, &packing, None)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the segments of a packed row have 5 positions together, the row has 4"
    );
}

/// Up to eight segments, each continuing any earlier one or none.
fn packings() -> impl Strategy<Value = Vec<Segment>> {
    proptest::collection::vec((1..6usize, any::<proptest::sample::Index>()), 1..8).prop_flat_map(
        |drawn| {
            let pick = |(index, (length, after)): (usize, &(usize, proptest::sample::Index))| {
                let after = after.index(index + 1).checked_sub(1);
                segment(*length, after)
            };
            Just(drawn.iter().enumerate().map(pick).collect())
        },
    )
}

proptest! {
    #![proptest_config(Runs { cases: 24, ..Runs::default() })]

    #[test]
    fn any_packing_gives_what_its_sequences_get_alone(segments in packings(), seed in any::<u64>()) {
        let trained = Trained::random(&mut ChaCha8Rng::seed_from_u64(seed));
        check(&trained, segments, None);
    }
}
