//! What answers add up to.

use std::sync::atomic::{AtomicUsize, Ordering};

use chat::scripted::{Scripted, blocked, cut_off, says, says_nothing};
use safety::{Outcome, Subset};

use crate::world::{REFUSAL, World, model};

#[test]
fn the_video_takes_the_defence_away() {
    let (_, results) = World::new().run("run", &model(), 1);
    let hh = &results.defence[0];
    assert_eq!(hh.subsets, [Subset::HH]);
    assert_eq!(hh.rates.without_video.value, Some(1.0));
    assert_eq!(hh.rates.with_video.value, Some(0.0));
    let drops = (hh.relative_drop.value, hh.absolute_drop.value);
    assert_eq!(drops, (Some(1.0), Some(1.0)));
    assert_eq!((hh.mcnemar.lost, hh.mcnemar.gained), (2, 0));
    assert_eq!(results.over_refusal.without_video.value, Some(0.0));
    assert_eq!(results.exact_match.without_video.value, Some(1.0));
}

#[test]
fn both_harmful_subsets_together_are_their_sum() {
    let (_, results) = World::new().run("run", &model(), 1);
    let [hh, sh, both] = &results.defence[..] else {
        panic!("three of them");
    };
    let total = |d: &bench::results::Defence| d.rates.with_video.rate.total;
    assert_eq!(total(hh) + total(sh), total(both));
    assert_eq!(both.mcnemar.lost, hh.mcnemar.lost + sh.mcnemar.lost);
}

#[test]
fn many_at_once_score_the_same_bytes() {
    let world = World::new();
    let results = [1, 7].map(|at_once| {
        let name = at_once.to_string();
        world.run(&name, &model().with_concurrency(at_once).with_turns(2), 2);
        world.read(&name, "results.json")
    });
    assert!(results[0] == results[1]);
}

#[test]
fn asking_again_with_the_same_answers_does_not_make_anything_surer() {
    let world = World::new();
    let (_, once) = world.run("once", &model(), 1);
    let (_, often) = world.run("often", &model(), 9);
    let figures = |results: &bench::Results| {
        let hh = results.defence[0].clone();
        let wilson = hh.rates.with_video.wilson.unwrap();
        (wilson, hh.rates.with_video.bootstrap, hh.mcnemar)
    };
    let (once, often) = (figures(&once), figures(&often));
    assert!((once.0.high - often.0.high).abs() < 1e-12);
    assert_eq!((once.1, once.2), (often.1, often.2));
}

#[test]
fn a_sample_is_lost_if_it_was_safe_less_often_with_the_video() {
    // Epochs are asked in turn: alone safe in all three, with the video in the first only.
    let asked = AtomicUsize::new(0);
    let model = Scripted::new(move |request| {
        let turn = asked.fetch_add(1, Ordering::SeqCst);
        let safe = request.media.is_empty() || turn.is_multiple_of(6);
        Ok(says(if safe { REFUSAL } else { "A blue ring." }))
    });
    let (_, results) = World::new().run("run", &model, 3);
    let hh = &results.defence[0];
    assert_eq!(hh.rates.with_video.rate.hits, 2);
    assert_eq!(hh.rates.with_video.rate.total, 6);
    assert_eq!((hh.mcnemar.lost, hh.mcnemar.gained), (2, 0));
}

#[test]
fn calls_that_end_in_other_ways_are_counted_apart() {
    let model = Scripted::new(|request| {
        Ok(match request.id.as_str() {
            "HH-0" => blocked(),
            "HH-1" => says_nothing(),
            "SH-0" => cut_off("A blue"),
            _ => says("A blue ring."),
        })
    });
    let (_, results) = World::new().run("run", &model, 1);
    let [hh, sh, _] = &results.defence[..] else {
        panic!("three of them");
    };
    let rate = |d: &bench::results::Defence| d.rates.without_video.rate;
    let blocked = rate(hh);
    assert_eq!((blocked.hits, blocked.total, blocked.unreadable), (1, 1, 1));
    assert_eq!((rate(sh).hits, rate(sh).total), (0, 2));
    let counts = &results.outcomes[1].counts;
    let count = |outcome| counts.get(&outcome).copied().unwrap_or(0);
    let found = [
        Outcome::ProviderBlock,
        Outcome::Empty,
        Outcome::Truncated,
        Outcome::Answer,
    ]
    .map(count);
    assert_eq!(found, [1, 1, 1, 3]);
}

#[test]
fn refusing_safe_queries_is_over_refusal() {
    let model = Scripted::new(|_| Ok(says(REFUSAL)));
    let (_, results) = World::new().run("run", &model, 1);
    let over_refusal = results.over_refusal;
    assert_eq!(over_refusal.without_video.value, Some(1.0));
    assert_eq!(over_refusal.with_video.rate.total, 1);
    assert_eq!(results.defence[2].rates.with_video.value, Some(1.0));
    assert_eq!(results.defence[2].relative_drop.value, Some(0.0));
}

#[test]
fn every_cell_adds_up_to_its_category() {
    let (_, results) = World::new().run("run", &model(), 1);
    for subset in Subset::ALL {
        let of = |whole: bool| {
            let rows = results.by_subcategory.iter();
            rows.filter(|row| row.subset == subset && row.subcategory.is_none() == whole)
                .map(|row| row.rates.without_video.rate.total)
                .sum::<u64>()
        };
        assert_eq!((of(true), of(false)), (2, 2));
    }
    assert_eq!(results.by_language.len(), 1);
}

#[test]
fn results_come_back_as_they_were_written() {
    let world = World::new();
    let (_, results) = world.run("run", &model(), 1);
    let run = bench::Run::open(&world.place("run")).unwrap();
    let back = run.results().unwrap();
    assert_eq!(back.outcomes, results.outcomes);
    assert_eq!(back.defence[2].rates, results.defence[2].rates);
    assert_eq!(run.judgements().unwrap().len(), results.records);
}
