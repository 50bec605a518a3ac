//! Ours to official to ours is the identity, or an error.

use proptest::prelude::*;
use safety::{Labels, SafetyLabel, Subset};
use train::data::convert::{Convention, Conversion, Format, convert};
use train::data::{Record, Task, Turn};

use crate::{TAGGED, labels, record, write};

/// There and back: the bytes of the first and of the last file, or why not.
fn there_and_back(records: &[Record], format: Format, ending: &str) -> Result<[String; 2], String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let ours = write(&path("ours.jsonl"), records);
    let (official, back) = (path(&format!("official.{ending}")), path("back.jsonl"));
    let how = |from, to| Conversion {
        from,
        to,
        labels: Convention::Current,
        videos: None,
    };
    convert(&ours, &official, &how(Format::Alarum, format)).map_err(|error| error.to_string())?;
    convert(&official, &back, &how(format, Format::Alarum))
        .map_err(|error| format!("back: {error}"))?;
    Ok([ours, back].map(|path| std::fs::read_to_string(path).unwrap()))
}

#[track_caller]
fn identity(records: &[Record], format: Format) {
    for ending in ["json", "jsonl"] {
        let [ours, back] = there_and_back(records, format, ending).unwrap();
        assert_eq!(ours, back);
    }
}

#[track_caller]
fn refused(record: Record, format: Format, words: &str) {
    let reason = there_and_back(&[record], format, "jsonl").unwrap_err();
    assert!(
        reason.contains("line 1 (a)") && reason.contains(words),
        "{reason}"
    );
}

#[test]
fn conversations_come_back() {
    let turn = Turn {
        query: "And\nthen?".into(),
        answer: "It stops.".into(),
    };
    identity(
        &[
            record("a"),
            Record {
                video: Some("v/x.mp4".into()),
                labels: labels(1, 0),
                ..record("b")
            },
            Record {
                image: Some("i.png".into()),
                subset: Some(Subset::SafeQ),
                ..record("c")
            },
            Record {
                turns: vec![turn],
                answer: TAGGED.into(),
                labels: labels(0, 0),
                ..record("d")
            },
        ],
        Format::Sft,
    );
    identity(&[], Format::Sft);
}

#[test]
fn problems_come_back() {
    let film = |id| Record {
        video: Some("v/x.mp4".into()),
        ..record(id)
    };
    identity(
        &[
            film("a"),
            Record {
                answer: TAGGED.into(),
                labels: labels(1, 0),
                subset: Some(Subset::HH),
                ..film("b")
            },
            Record {
                video: None,
                image: Some("i.png".into()),
                task: Task::Ocr,
                ..record("c")
            },
            Record {
                task: Task::MultipleChoice,
                options: vec!["A. x".into(), "B. y".into()],
                ..film("d")
            },
        ],
        Format::Grpo,
    );
}

#[test]
fn what_a_conversation_cannot_say_is_refused() {
    let a = || record("a");
    refused(
        Record {
            rejected: Some("x".into()),
            ..a()
        },
        Format::Sft,
        "`rejected`",
    );
    refused(
        Record {
            system: Some("x".into()),
            ..a()
        },
        Format::Sft,
        "`system`",
    );
    refused(
        Record {
            task: Task::Ocr,
            ..a()
        },
        Format::Sft,
        "`task` ocr",
    );
    refused(
        Record {
            query: "a <image> b".into(),
            ..a()
        },
        Format::Sft,
        "<image>",
    );
    refused(
        Record {
            query: "costs $1$0".into(),
            ..a()
        },
        Format::Sft,
        "`$v$t`",
    );
    let half = Labels {
        textual: None,
        ..labels(1, 1)
    };
    refused(
        Record {
            labels: half,
            ..a()
        },
        Format::Sft,
        "one label",
    );
}

#[test]
fn what_a_problem_cannot_say_is_refused() {
    let a = || Record {
        video: Some("x.mp4".into()),
        ..record("a")
    };
    refused(record("a"), Format::Grpo, "without a video");
    refused(
        Record {
            labels: labels(1, 1),
            ..a()
        },
        Format::Grpo,
        "`labels`",
    );
    refused(
        Record {
            answer: TAGGED.into(),
            ..a()
        },
        Format::Grpo,
        "`labels`",
    );
    refused(
        Record {
            answer: TAGGED.into(),
            labels: labels(1, 1),
            ..a()
        },
        Format::Grpo,
        "`labels`",
    );
    refused(
        Record {
            rejected: Some("x".into()),
            ..a()
        },
        Format::Grpo,
        "`rejected`",
    );
    refused(
        Record {
            turns: vec![Turn {
                query: "q".into(),
                answer: "b".into(),
            }],
            ..a()
        },
        Format::Grpo,
        "`turns`",
    );
}

fn text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "x",
        "<video>",
        "<image>",
        "\n",
        " ",
        "$1$0",
        "<vidType>1</vidType>",
        "a",
        "e\u{301}",
        "\"",
        "\\",
    ];
    proptest::collection::vec(proptest::sample::select(pieces), 0..6)
        .prop_map(|pieces| pieces.concat())
}

fn any_record() -> impl Strategy<Value = Record> {
    let label = || {
        proptest::option::of(any::<bool>().prop_map(|harmful| {
            if harmful {
                SafetyLabel::Harmful
            } else {
                SafetyLabel::Safe
            }
        }))
    };
    let answer = prop_oneof![text(), Just(TAGGED.to_owned())];
    let medium = proptest::option::of(any::<bool>());
    let task = proptest::sample::select(&Task::ALL[..]);
    let turns = proptest::collection::vec((text(), text()), 0..2);
    (text(), answer, medium, task, turns, (label(), label())).prop_map(
        |(query, answer, medium, task, turns, (visual, textual))| Record {
            query,
            answer,
            task,
            video: (medium == Some(true)).then(|| "v/x y.mp4".into()),
            image: (medium == Some(false)).then(|| "i.png".into()),
            turns: turns
                .into_iter()
                .map(|(query, answer)| Turn { query, answer })
                .collect(),
            labels: Labels { visual, textual },
            ..record("a")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_can_be_said_comes_back(record in any_record(), grpo: bool) {
        let format = if grpo { Format::Grpo } else { Format::Sft };
        match there_and_back(&[record], format, "json") {
            Ok([ours, back]) => prop_assert_eq!(ours, back),
            Err(reason) => prop_assert!(!reason.starts_with("back: "), "{}", reason),
        }
    }
}
