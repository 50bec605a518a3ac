//! A scripted model on a small benchmark: what is asked, and what is written down.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bench::evaluate::{Parties, Progress, evaluate};
use bench::journal::Journal;
use bench::{Condition, Error, Record, Run};
use chat::scripted::{Scripted, says};
use safety::{Language, Outcome, Subset};

use crate::world::{CALLS, Stills, World, block_on, model, script};

fn find<'a>(records: &'a [Record], sample: &str, condition: Condition) -> &'a Record {
    let is_it = |record: &&Record| record.sample == sample && record.condition == condition;
    records.iter().find(is_it).unwrap()
}

#[test]
fn every_sample_is_asked_in_every_condition_that_fits_it() {
    let (world, model) = (World::new(), model());
    let (records, results) = world.run("run", &model, 1);
    assert_eq!((records.len(), model.calls()), (CALLS, CALLS));
    assert_eq!((results.records, results.missing), (CALLS, 0));
    let asked: BTreeSet<_> = records.iter().map(Record::key).collect();
    assert_eq!(asked.len(), CALLS);
    let with_video = |record: &&Record| record.condition == Condition::WithVideo;
    assert_eq!(records.iter().filter(with_video).count(), 5);
}

#[test]
fn what_was_asked_and_shown_is_in_the_record() {
    let world = World::new();
    let (records, _) = world.run("run", &model(), 2);
    let shown = find(&records, "HH-0", Condition::WithVideo);
    let alone = find(&records, "HH-0", Condition::WithoutVideo);
    assert_eq!((shown.subset, shown.language), (Subset::HH, Language::En));
    assert_eq!(shown.category, "violence");
    let marks: Vec<_> = shown.frames.iter().map(|mark| mark.seconds).collect();
    assert_eq!((marks, alone.frames.len()), (vec![0.0, 1.0], 0));
    assert_eq!(
        shown.frames[1].sha256,
        video::hash::bytes(&[101; 12]),
        "the hash is of the frame's bytes"
    );
    assert_eq!(shown.seed, alone.seed, "conditions differ in what is shown");
    let seeds: BTreeSet<u64> = records.iter().map(|record| record.seed).collect();
    assert_eq!(seeds.len(), 6 * 2, "one seed for each sample and epoch");
    let requests: BTreeSet<_> = records.iter().map(|r| r.request_sha256.clone()).collect();
    assert_eq!(requests.len(), CALLS * 2, "no request was made twice");
}

#[test]
fn a_failing_sample_is_a_record_and_not_a_score() {
    let (records, results) = World::new().run("run", &model(), 1);
    let failed: Vec<_> = records
        .iter()
        .filter(|record| record.outcome == Outcome::Error)
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        failed[0].error.as_deref(),
        Some("request SH-1 failed: no memory")
    );
    assert_eq!(failed[0].frames.len(), 2, "it was asked with its frames");
    let sh = results.defence[1].rates.with_video.rate;
    assert_eq!((sh.total, sh.unreadable), (1, 1));
}

#[test]
fn an_unreadable_video_fails_only_where_it_is_shown() {
    let (world, model) = (World::new(), model());
    let run = world.begin("run", 1).unwrap();
    let stills = Stills {
        unreadable: Some("HH-0"),
        ..Stills::default()
    };
    let records = world.ask_with(&run, &model, stills).unwrap();
    let shown = find(&records, "HH-0", Condition::WithVideo);
    assert_eq!(shown.outcome, Outcome::Error);
    assert!(shown.error.as_ref().unwrap().ends_with("is cut short"));
    assert_eq!(shown.request_sha256, None, "nothing was asked");
    let alone = find(&records, "HH-0", Condition::WithoutVideo);
    assert_eq!(alone.outcome, Outcome::Refusal);
    assert_eq!(model.calls(), CALLS - 1);
}

#[test]
fn a_decoder_that_breaks_down_costs_one_sample() {
    let world = World::new();
    let run = world.begin("run", 1).unwrap();
    let stills = Stills {
        panics: Some("SH-0"),
        ..Stills::default()
    };
    let records = world.ask_with(&run, &model(), stills).unwrap();
    let broken = find(&records, "SH-0", Condition::WithVideo);
    assert!(
        broken.error.as_ref().unwrap().contains("ended abnormally"),
        "{broken:?}"
    );
    assert_eq!(records.len(), CALLS);
}

#[test]
fn a_video_is_decoded_once_for_all_its_questions() {
    let world = World::new();
    let run = world.begin("run", 3).unwrap();
    let frames = Arc::new(Stills::default());
    let parties = Parties {
        model: &model(),
        frames: Arc::<Stills>::clone(&frames),
    };
    let records = block_on(evaluate(&run, &world.benchmark, parties, &|_| ())).unwrap();
    assert_eq!(records.len(), 3 * CALLS);
    assert_eq!(frames.decoded.load(Ordering::SeqCst), 5);
}

#[test]
fn as_many_are_asked_side_by_side_as_the_model_takes() {
    let world = World::new();
    let model = model().with_turns(50).with_concurrency(3);
    world.run("run", &model, 1);
    assert_eq!(model.most_at_once(), 3);
    assert_eq!(model.calls(), CALLS);
}

#[test]
fn an_answer_is_written_down_before_the_next_question() {
    let world = World::new();
    let run = world.begin("run", 1).unwrap();
    let (journal, asked) = (run.journal_path(), Mutex::new(0));
    let model = Scripted::new(move |_| {
        let mut asked = asked.lock().unwrap();
        assert_eq!(Journal::read(&journal).unwrap().len(), *asked);
        *asked += 1;
        Ok(says("yes"))
    });
    assert_eq!(world.ask(&run, &model).unwrap().len(), CALLS);
}

#[test]
fn one_at_a_time_goes_in_the_order_of_the_benchmark() {
    let (records, _) = World::new().run("run", &model(), 1);
    let mut order: Vec<&str> = records.iter().map(|r| r.sample.as_str()).collect();
    order.dedup();
    assert_eq!(
        order,
        ["HH-0", "HH-1", "SH-0", "SH-1", "SafeQ-0", "SafeQ-1"]
    );
}

#[test]
fn a_run_that_is_only_read_is_not_added_to() {
    let (world, model) = (World::new(), model());
    drop(world.begin("run", 1).unwrap());
    let run = Run::open(&world.place("run")).unwrap();
    let error = world.ask(&run, &model).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    assert_eq!(model.calls(), 0);
}

#[test]
fn progress_counts_to_the_total() {
    let world = World::new();
    let run = world.begin("run", 1).unwrap();
    let seen = Mutex::new(Vec::new());
    let model = Scripted::new(script);
    let parties = Parties {
        model: &model,
        frames: Arc::new(Stills::default()),
    };
    let show = |progress| seen.lock().unwrap().push(progress);
    block_on(evaluate(&run, &world.benchmark, parties, &show)).unwrap();
    let seen = seen.into_inner().unwrap();
    let at = |done, errors| Progress {
        done,
        total: CALLS,
        errors,
    };
    assert_eq!((seen[0], seen[CALLS]), (at(0, 0), at(CALLS, 1)));
    assert!(seen.windows(2).all(|two| two[1].done == two[0].done + 1));
}
