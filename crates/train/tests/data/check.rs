//! Everything that is wrong with a file is named with its line.

use std::path::PathBuf;
use std::sync::Arc;

use model::Processor;
use train::data::Record;
use train::data::check::{Checks, Findings, Severity, Stage, check};
use video::Decoder;

use crate::{TAGGED, labels, record, write};

fn checks(stage: Option<Stage>) -> Checks {
    Checks {
        stage,
        decoder: Decoder::default(),
        processor: None,
    }
}

fn found(records: &[Record], stage: Option<Stage>) -> Findings {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("words.mp4"), "no video").unwrap();
    let path = write(&folder.path().join("data.jsonl"), records);
    check(&path, &checks(stage), &|_, _| {}).unwrap()
}

/// The only problem of `record` in `stage` says `words`; none if there are none.
#[track_caller]
fn says(record: Record, stage: Stage, words: Option<&str>) {
    let findings = found(&[record], Some(stage));
    match words {
        None => assert_eq!(findings.problems, []),
        Some(words) => {
            let [problem] = &findings.problems[..] else {
                panic!("{:?}", findings.problems)
            };
            assert!(problem.what.contains(words), "{problem:?}");
            assert_eq!((problem.line, problem.severity), (1, Severity::Unusable));
            assert!(findings.is_unusable());
        }
    }
}

#[test]
fn everything_is_counted() {
    let records = [
        record("a"),
        Record {
            query: "Else?".into(),
            labels: labels(1, 0),
            subset: Some(safety::Subset::HH),
            ..record("b")
        },
    ];
    let findings = found(&records, None);
    assert_eq!(
        (findings.records, findings.tasks.len(), findings.videos),
        (2, 1, 0)
    );
    assert_eq!(findings.labels[&[None, None]], 1);
    assert_eq!(findings.subsets[&Some(safety::Subset::HH)], 1);
    assert!(findings.problems.is_empty() && !findings.is_unusable());
}

#[test]
fn alarm_heads_want_labels() {
    says(record("a"), Stage::AtSft, None);
    says(record("a"), Stage::Atc, Some("textual label"));
    says(
        Record {
            labels: labels(0, 1),
            ..record("a")
        },
        Stage::Atc,
        None,
    );
}

#[test]
fn a_cold_start_wants_the_four_tags() {
    let answered = |answer: &str| Record {
        answer: answer.into(),
        ..record("a")
    };
    says(answered(TAGGED), Stage::Cot, None);
    says(
        answered("A square."),
        Stage::Cot,
        Some("no whole <think>, <answer>, <vidType>, <textType>"),
    );
    says(
        answered(&TAGGED.replace("</textType>", "")),
        Stage::Cot,
        Some("no whole <textType>"),
    );
    says(
        answered(&format!("Sure: {TAGGED}")),
        Stage::Cot,
        Some("exactly the four tags"),
    );
    says(
        answered(&TAGGED.replace(">1<", ">2<")),
        Stage::Cot,
        Some("neither 0 nor 1"),
    );
}

#[test]
fn rollouts_want_something_to_be_judged_by() {
    let task = |answer: &str| Record {
        task: train::data::Task::Numerical,
        answer: answer.into(),
        ..record("a")
    };
    says(record("a"), Stage::Grpo, Some("no whole"));
    says(task("<answer>3</answer>"), Stage::Grpo, None);
    says(task("3"), Stage::Grpo, Some("no whole <answer>"));
}

#[test]
fn preferences_want_an_answer_to_avoid() {
    let rejected = |text: &str| Record {
        rejected: Some(text.into()),
        ..record("a")
    };
    says(record("a"), Stage::Dpo, Some("no `rejected`"));
    says(rejected("A square."), Stage::Dpo, Some("same"));
    says(rejected("A circle."), Stage::Dpo, None);
}

#[test]
fn labels_and_tags_agree() {
    let record = |labels| Record {
        answer: TAGGED.into(),
        labels,
        ..record("a")
    };
    says(record(labels(1, 0)), Stage::Cot, None);
    says(record(labels(0, 0)), Stage::Cot, Some("contradict"));
}

#[test]
fn problems_come_in_the_order_of_lines() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("words.mp4"), "no video").unwrap();
    let film = |id, name: &str| Record {
        video: Some(name.into()),
        ..record(id)
    };
    let records = [
        film("a", "lost.mp4"),
        record("b"),
        record("c"),
        film("d", "words.mp4"),
        record("b"),
    ];
    let path = write(&folder.path().join("data.jsonl"), &records);
    let text = std::fs::read_to_string(&path).unwrap() + "{\n";
    std::fs::write(&path, text).unwrap();
    let processor = || {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../model/tests/goldens/grouped/checkpoint");
        Arc::new(Processor::open(&folder).unwrap())
    };
    for processor in [None, Some(processor())] {
        let checks = Checks {
            processor,
            ..checks(None)
        };
        let findings = check(&path, &checks, &|_, _| {}).unwrap();
        let said: Vec<String> = findings
            .problems
            .iter()
            .map(|problem| {
                format!(
                    "{} {} {}",
                    problem.line,
                    problem.id.as_deref().unwrap_or("-"),
                    problem.what
                )
            })
            .collect();
        for (said, want) in said.iter().zip([
            "1 a ",
            "3 c says the same as line 2",
            "4 d ",
            "5 - id `b`",
            "6 - ",
        ]) {
            assert!(said.starts_with(want), "{said:?} is not {want:?}");
        }
        assert_eq!(said.len(), 5);
        assert!(
            said[0].contains("lost.mp4") && said[2].contains("words.mp4"),
            "{said:?}"
        );
        if let Some(tokens) = findings.tokens {
            assert_eq!(tokens.len(), 2);
        }
    }
}
