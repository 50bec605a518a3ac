//! Runs that were stopped, broken or begun by somebody else.

use std::collections::BTreeSet;
use std::sync::Arc;

use bench::evaluate::{Parties, evaluate};
use bench::journal::{Journal, repair};
use bench::{Benchmark, Error, Record, Run};
use futures::FutureExt;

use crate::world::{CALLS, Stills, World, block_on, model, scored, settings};

#[test]
fn a_journal_cut_off_anywhere_is_resumed_to_the_same_results() {
    let world = World::new();
    world.run("whole", &model(), 1);
    let journal = world.read("whole", "journal.jsonl");
    let results = world.read("whole", "results.json");
    let line_ends: Vec<usize> = (1..=journal.len())
        .filter(|&end| journal[end - 1] == b'\n')
        .collect();
    let run = world.begin("cut", 1).unwrap();
    for cut in line_ends[line_ends.len() - 3]..journal.len() {
        std::fs::write(run.journal_path(), &journal[..cut]).unwrap();
        let kept = line_ends.iter().filter(|end| **end <= cut).count();
        let model = model();
        let records = world.ask(&run, &model).unwrap();
        assert_eq!(model.calls(), CALLS - kept, "cut at byte {cut}");
        assert_eq!(records.len(), CALLS, "cut at byte {cut}");
        assert!(world.read("cut", "journal.jsonl") == journal, "byte {cut}");
        if line_ends.contains(&cut) || cut + 1 == journal.len() {
            scored(&run, &records);
            assert!(world.read("cut", "results.json") == results, "byte {cut}");
        }
    }
}

#[test]
fn a_run_that_is_dropped_anywhere_goes_on_where_it_was() {
    let world = World::new();
    world.run("whole", &model(), 1);
    for polls in 0..40 {
        let name = format!("dropped-{polls}");
        let run = world.begin(&name, 1).unwrap();
        let slow = model().with_turns(3).with_concurrency(2);
        let parties = Parties {
            model: &slow,
            frames: Arc::new(Stills::default()),
        };
        block_on(async {
            let mut asking = Box::pin(evaluate(&run, &world.benchmark, parties, &|_| ()));
            for _ in 0..polls {
                if (&mut asking).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
        let written = Journal::read(&run.journal_path()).map_or(0, |records| records.len());
        drop(run);
        let model = model();
        let (records, _) = world.run(&name, &model, 1);
        assert_eq!(model.calls(), CALLS - written, "dropped after {polls}");
        let keys: BTreeSet<_> = records.iter().map(Record::key).collect();
        assert_eq!((keys.len(), records.len()), (CALLS, CALLS));
        let results = world.read(&name, "results.json");
        assert!(results == world.read("whole", "results.json"));
    }
}

/// A run whose third line is no record, and what the journal held before.
fn broken(world: &World) -> Vec<u8> {
    world.run("run", &model(), 1);
    let good = world.read("run", "journal.jsonl");
    let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    let bad = [
        &lines[..2].concat(),
        &b"{\"sample\": 3\n"[..],
        &lines[3..].concat(),
    ]
    .concat();
    std::fs::write(world.place("run").join("journal.jsonl"), bad).unwrap();
    good
}

#[test]
fn a_broken_line_in_the_middle_is_named_and_nothing_is_lost() {
    let (world, model) = (World::new(), model());
    broken(&world);
    let before = world.read("run", "journal.jsonl");
    let run = world.begin("run", 1).unwrap();
    let error = world.ask(&run, &model).unwrap_err().to_string();
    assert!(error.contains("line 3 is not a record"), "{error}");
    assert!(error.contains("alarum repair"), "{error}");
    assert!(world.read("run", "journal.jsonl") == before);
    assert_eq!(model.calls(), 0);
}

#[test]
fn a_repaired_journal_keeps_the_rest_and_asks_for_what_is_missing() {
    let (world, model) = (World::new(), model());
    let results = {
        broken(&world);
        world.read("run", "results.json")
    };
    let before = world.read("run", "journal.jsonl");
    let run = world.begin("run", 1).unwrap();
    let repaired = repair(&run).unwrap();
    assert_eq!((repaired.kept, repaired.bad), (CALLS - 1, vec![3]));
    assert!(std::fs::read(repaired.original.unwrap()).unwrap() == before);
    drop(run);
    world.run("run", &model, 1);
    assert_eq!(model.calls(), 1);
    assert!(world.read("run", "results.json") == results);
}

#[test]
fn a_good_journal_is_not_touched_by_a_repair() {
    let world = World::new();
    world.run("run", &model(), 1);
    let before = world.read("run", "journal.jsonl");
    let run = world.begin("run", 1).unwrap();
    let repaired = repair(&run).unwrap();
    assert_eq!((repaired.kept, repaired.original), (CALLS, None));
    assert!(world.read("run", "journal.jsonl") == before);
    let names: Vec<_> = std::fs::read_dir(&run.folder).unwrap().collect();
    assert!(names.iter().all(|name| {
        let name = name.as_ref().unwrap().file_name();
        !name.to_string_lossy().ends_with(".tmp")
    }));
}

#[test]
fn other_settings_are_refused_by_name() {
    let world = World::new();
    drop(world.begin("run", 1).unwrap());
    let error = world.begin("run", 2).unwrap_err().to_string();
    assert!(error.contains("(epochs: 1 there, 2 now)"), "{error}");
}

#[test]
fn every_setting_that_differs_is_named() {
    let world = World::new();
    let there = settings(&world.benchmark, 1);
    let mut now = there.clone();
    now.model = "another".to_owned();
    now.generation.seed = u64::MAX;
    let said = there.differences(&now);
    assert!(
        said.contains("model: \"scripted\" there, \"another\" now"),
        "{said}"
    );
    assert!(said.contains("18446744073709551615"), "{said}");
    assert_eq!(there.differences(&there), "");
}

#[test]
fn a_journal_of_unknown_settings_is_not_adopted() {
    let world = World::new();
    world.run("run", &model(), 1);
    std::fs::remove_file(world.place("run").join("run.toml")).unwrap();
    let error = world.begin("run", 1).unwrap_err().to_string();
    assert!(error.contains("holds a journal and no run.toml"), "{error}");
}

#[test]
fn two_processes_do_not_share_a_run() {
    let world = World::new();
    let _first = world.begin("run", 1).unwrap();
    let error = world.begin("run", 1).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
}

#[test]
fn a_video_that_comes_later_is_asked_when_the_run_goes_on() {
    let mut world = World::new();
    let (video, away) = (
        world.place("benchmark/videos/SH.mp4"),
        world.place("SH.mp4"),
    );
    std::fs::rename(&video, &away).unwrap();
    world.benchmark = Benchmark::open(&world.place("benchmark")).unwrap();
    let (records, results) = world.run("run", &model(), 1);
    assert_eq!((records.len(), results.samples), (CALLS - 4, 4));
    std::fs::rename(&away, &video).unwrap();
    world.benchmark = Benchmark::open(&world.place("benchmark")).unwrap();
    let again = model();
    let (_, results) = world.run("run", &again, 1);
    assert_eq!((again.calls(), results.samples, results.missing), (4, 6, 0));
    assert_eq!(
        Run::open(&world.place("run")).unwrap().problems().unwrap(),
        []
    );
}

#[test]
fn a_video_that_went_away_leaves_its_answers_in_the_scores() {
    let mut world = World::new();
    let (_, before) = world.run("run", &model(), 1);
    std::fs::remove_file(world.place("benchmark/videos/SH.mp4")).unwrap();
    world.benchmark = Benchmark::open(&world.place("benchmark")).unwrap();
    let again = model();
    let (records, after) = world.run("run", &again, 1);
    assert_eq!((again.calls(), records.len()), (0, CALLS));
    assert_eq!(after.defence, before.defence);
}
