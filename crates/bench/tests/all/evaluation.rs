//! A scripted model on a small benchmark: what is asked, what is written down, what survives.

use std::sync::Arc;

use crate::world::{Stills, benchmark, block_on, model, run, scored, settings};
use bench::evaluate::{Parties, Progress, evaluate};
use bench::{Condition, Error, Run};
use safety::Outcome;

/// Calls of the model: six samples without a video, five with one, one of those failing.
const CALLS: usize = 11;

#[test]
fn every_sample_is_asked_in_every_condition_that_fits_it() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let model = model();
    let (records, results) = run(&folder.path().join("run"), &benchmark, &model, 1);
    assert_eq!((records.len(), model.calls()), (CALLS, CALLS));
    assert_eq!((results.records, results.missing), (CALLS, 0));
    let with_video = records
        .iter()
        .filter(|record| record.condition == Condition::WithVideo)
        .count();
    assert_eq!(with_video, 5);
}

#[test]
fn a_failing_sample_is_a_record_and_not_a_score() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let (records, results) = run(&folder.path().join("run"), &benchmark, &model(), 1);
    let errors: Vec<_> = records
        .iter()
        .filter(|record| record.outcome == Outcome::Error)
        .collect();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].error.as_ref().unwrap().contains("no memory"));
    let sh = results.defence[1].rates.with_video.rate;
    assert_eq!((sh.total, sh.unreadable), (1, 1));
}

#[test]
fn an_unreadable_video_fails_only_where_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let run = Run::begin(
        &folder.path().join("run"),
        settings(&benchmark, 1),
        &benchmark,
    )
    .unwrap();
    let model = model();
    let parties = Parties {
        model: &model,
        frames: Arc::new(Stills {
            unreadable: Some("HH-0"),
        }),
    };
    let records = block_on(evaluate(&run, &benchmark, parties, &|_| ())).unwrap();
    let of = |condition| {
        records
            .iter()
            .find(|record| record.sample == "HH-0" && record.condition == condition)
            .unwrap()
    };
    assert_eq!(of(Condition::WithVideo).outcome, Outcome::Error);
    assert!(
        of(Condition::WithVideo)
            .error
            .as_ref()
            .unwrap()
            .contains("cut short")
    );
    assert_eq!(of(Condition::WithoutVideo).outcome, Outcome::Refusal);
    assert_eq!(model.calls(), CALLS - 1);
}

#[test]
fn the_video_takes_the_defence_away() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let (_, results) = run(&folder.path().join("run"), &benchmark, &model(), 1);
    let hh = &results.defence[0];
    assert_eq!(hh.rates.without_video.value, Some(1.0));
    assert_eq!(hh.rates.with_video.value, Some(0.0));
    assert_eq!(
        (hh.relative_drop.value, hh.absolute_drop.value),
        (Some(1.0), Some(1.0))
    );
    assert_eq!((hh.mcnemar.lost, hh.mcnemar.gained), (2, 0));
    assert_eq!(results.over_refusal.without_video.value, Some(0.0));
    assert_eq!(results.exact_match.without_video.value, Some(1.0));
}

#[test]
fn a_journal_cut_off_anywhere_is_resumed_to_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let whole = folder.path().join("whole");
    run(&whole, &benchmark, &model(), 1);
    let journal = std::fs::read(whole.join("journal.jsonl")).unwrap();
    let results = std::fs::read(whole.join("results.json")).unwrap();
    let line_ends: Vec<usize> = journal
        .iter()
        .enumerate()
        .filter_map(|(i, byte)| (*byte == b'\n').then_some(i + 1))
        .collect();
    for cut in line_ends[line_ends.len() - 3]..journal.len() {
        let part = folder.path().join(format!("cut-{cut}"));
        std::fs::create_dir_all(&part).unwrap();
        std::fs::write(part.join("journal.jsonl"), &journal[..cut]).unwrap();
        let kept = line_ends.iter().filter(|end| **end <= cut).count();
        let model = model();
        let (records, _) = run(&part, &benchmark, &model, 1);
        assert_eq!(model.calls(), CALLS - kept, "cut at byte {cut}");
        assert_eq!(records.len(), CALLS);
        assert_eq!(
            std::fs::read(part.join("results.json")).unwrap(),
            results,
            "cut at byte {cut}"
        );
        assert_eq!(
            std::fs::read(part.join("journal.jsonl")).unwrap(),
            journal,
            "cut at byte {cut}"
        );
    }
}

#[test]
fn a_broken_line_in_the_middle_is_named_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let place = folder.path().join("run");
    run(&place, &benchmark, &model(), 1);
    let path = place.join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let broken =
        text.replacen("\"sample\"", "\"smaple\"", 3)
            .replacen("\"smaple\"", "\"sample\"", 2);
    std::fs::write(&path, &broken).unwrap();
    let run = Run::begin(&place, settings(&benchmark, 1), &benchmark).unwrap();
    let model = model();
    let parties = Parties {
        model: &model,
        frames: Arc::new(Stills { unreadable: None }),
    };
    let error = block_on(evaluate(&run, &benchmark, parties, &|_| ())).unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    assert_eq!(model.calls(), 0);
}

#[test]
fn other_settings_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let place = folder.path().join("run");
    drop(Run::begin(&place, settings(&benchmark, 1), &benchmark).unwrap());
    let error = Run::begin(&place, settings(&benchmark, 2), &benchmark).unwrap_err();
    assert!(
        error.to_string().contains("epochs: 1 there, 2 now"),
        "{error}"
    );
}

#[test]
fn two_processes_do_not_share_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let place = folder.path().join("run");
    let _first = Run::begin(&place, settings(&benchmark, 1), &benchmark).unwrap();
    let error = Run::begin(&place, settings(&benchmark, 1), &benchmark).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
}

#[test]
fn many_at_once_score_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let results = [1, 7].map(|at_once| {
        let place = folder.path().join(at_once.to_string());
        run(&place, &benchmark, &model().with_concurrency(at_once), 2);
        std::fs::read(place.join("results.json")).unwrap()
    });
    assert_eq!(results[0], results[1]);
}

#[test]
fn progress_counts_to_the_total() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = benchmark(&folder.path().join("benchmark"));
    let run = Run::begin(
        &folder.path().join("run"),
        settings(&benchmark, 1),
        &benchmark,
    )
    .unwrap();
    let model = model();
    let seen = std::sync::Mutex::new(Vec::new());
    let parties = Parties {
        model: &model,
        frames: Arc::new(Stills { unreadable: None }),
    };
    let records = block_on(evaluate(&run, &benchmark, parties, &|progress| {
        seen.lock().unwrap().push(progress)
    }));
    let seen = seen.into_inner().unwrap();
    assert_eq!(
        seen[0],
        Progress {
            done: 0,
            total: CALLS,
            errors: 0
        }
    );
    assert_eq!(
        seen[CALLS],
        Progress {
            done: CALLS,
            total: CALLS,
            errors: 1
        }
    );
    scored(&run, &records.unwrap());
}
