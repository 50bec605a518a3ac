//! What official files say becomes what our records say, or an error that names the record.

use serde_json::{Value, json};
use train::data::convert::{Convention, Conversion, Converted, Format, convert};
use train::data::{Record, Task, Turn, read};

use crate::{TAGGED, labels};

const SFT: Conversion<'_> = Conversion {
    from: Format::Sft,
    to: Format::Alarum,
    labels: Convention::Current,
    videos: None,
};
const GRPO: Conversion<'_> = Conversion {
    from: Format::Grpo,
    ..SFT
};
const REVERSED: Conversion<'_> = Conversion {
    labels: Convention::Reversed,
    ..SFT
};

/// Converts the text of a file; the records' media relative to its folder.
fn converted(text: &str, how: &Conversion<'_>) -> Result<(Vec<Record>, Converted), String> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("official.json"),
        folder.path().join("ours.jsonl"),
    );
    std::fs::write(&input, text).unwrap();
    let done = convert(&input, &output, how).map_err(|error| {
        assert!(!output.exists(), "nothing is written");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        error.to_string()
    })?;
    let mut records = read(&output).unwrap();
    for record in &mut records {
        for path in [&mut record.video, &mut record.image].into_iter().flatten() {
            *path = path.strip_prefix(folder.path()).unwrap().to_owned();
        }
    }
    Ok((records, done))
}

#[track_caller]
fn one(value: &Value, how: &Conversion<'_>) -> Record {
    let (records, _) = converted(&value.to_string(), how).unwrap();
    let [record] = records.try_into().unwrap();
    record
}

#[track_caller]
fn refused(value: &Value, how: &Conversion<'_>, words: &[&str]) {
    let reason = converted(&value.to_string(), how).unwrap_err();
    for word in words {
        assert!(reason.contains(word), "{reason:?} lacks {word:?}");
    }
}

fn talk(human: &str, gpt: &str) -> Value {
    json!([{"from": "human", "value": human}, {"from": "gpt", "value": gpt}])
}

fn sft(human: &str) -> Value {
    json!({"id": "a", "video": ["videos/x.mp4"], "conversations": talk(human, "Yes.")})
}

fn grpo() -> Value {
    json!({
        "problem_id": "p1", "data_type": "video", "path": "videos/x.mp4", "problem": "What is it?",
        "problem_type": "free-form-and-choice", "solution": TAGGED,
    })
}

#[test]
fn a_conversation_becomes_a_record() {
    let mut value = sft("<video>\nIs it safe?");
    value["safety_labels"] = json!({"visual": 1, "textual": 0});
    let want = Record {
        id: "a".into(),
        video: Some("videos/x.mp4".into()),
        query: "Is it safe?".into(),
        answer: "Yes.".into(),
        labels: labels(1, 0),
        ..Record::default()
    };
    assert_eq!(one(&value, &SFT), want);
}

#[test]
fn the_marker_of_a_medium_stands_first_or_last_or_not_at_all() {
    for human in [
        "<video>\nIs it?",
        "<video>Is it?",
        "<video> Is it?",
        "Is it?\n<video>",
        "Is it?",
    ] {
        assert_eq!(one(&sft(human), &SFT).query, "Is it?", "{human:?}");
    }
    refused(&sft("Is <video> it?"), &SFT, &["(a)", "<video>"]);
    refused(&sft("<video>\n<video>\nIs it?"), &SFT, &["(a)", "<video>"]);
    refused(&sft("<image>\nIs it?"), &SFT, &["(a)", "<image>"]);
}

#[test]
fn a_path_may_be_a_list_of_one_or_a_string() {
    let value = json!({"image": "i.png", "conversations": talk("<image>\nWhat?", "That.")});
    let record = one(&value, &SFT);
    assert_eq!(
        (record.id.as_str(), record.image),
        ("official-1", Some("i.png".into()))
    );
    let two = json!({"id": "a", "video": ["x.mp4", "y.mp4"], "conversations": talk("q", "b")});
    refused(&two, &SFT, &["`video` names 2 files"]);
}

#[test]
fn further_turns_and_a_system_prompt_are_kept() {
    let mut said = vec![json!({"from": "system", "value": "Be brief."})];
    said.extend(talk("q", "b").as_array().unwrap().clone());
    said.extend(talk("and?", "c").as_array().unwrap().clone());
    let record = one(&json!({"conversations": said}), &SFT);
    assert_eq!(record.system.as_deref(), Some("Be brief."));
    let (query, answer) = ("and?".into(), "c".into());
    assert_eq!(record.turns, [Turn { query, answer }]);
}

#[test]
fn a_conversation_out_of_turn_is_refused() {
    let said = talk("q", "b");
    let [human, gpt] = [&said[0], &said[1]];
    for (said, words) in [
        (json!([human]), "ends with a question"),
        (json!([gpt, human]), "take turns"),
        (json!([human, human]), "take turns"),
        (json!([]), "empty"),
        (json!([{"from": "robot", "value": "x"}]), "`robot`"),
        (
            json!([{"from": "human"}]),
            "conversations[0] has no `value`",
        ),
    ] {
        refused(
            &json!({"id": "a", "conversations": said}),
            &SFT,
            &["line 1", words],
        );
    }
}

#[test]
fn a_marker_at_the_end_of_the_question_is_its_labels() {
    let record = one(&sft("<video>\nIs it? $1$0"), &SFT);
    assert_eq!(
        (record.query.as_str(), record.labels),
        ("Is it?", labels(1, 0))
    );
    let mut both = sft("<video>\nIs it? $1$0");
    both["visual_safety_label"] = "safe".into();
    refused(&both, &SFT, &["(a)", "two visual labels"]);
}

#[test]
fn labels_are_not_guessed_from_words() {
    let harmful = sft("<video>\nThe video contains harmful content; the question is harmful.");
    let (records, done) = converted(&harmful.to_string(), &SFT).unwrap();
    assert_eq!(records[0].labels, safety::Labels::default());
    assert_eq!((done.unlabelled, done.half_labelled), (1, 0));
}

#[test]
fn reversed_labels_are_flipped_wherever_they_stand() {
    let mut value = sft("<video>\nIs it?");
    value["safety_labels"] = json!({"visual": 1, "textual": "safe"});
    value["conversations"][1]["value"] = TAGGED.into();
    let record = one(&value, &REVERSED);
    assert_eq!(record.labels, labels(0, 1));
    assert!(
        record
            .answer
            .ends_with("<vidType>0</vidType>\n<textType>1</textType>")
    );
    assert_eq!(
        one(&sft("<video>\nIs it? $1$0"), &REVERSED).labels,
        labels(0, 1)
    );
    value["conversations"][1]["value"] = "<vidType>both</vidType>".into();
    refused(&value, &REVERSED, &["(a)", "<vidType> holds `both`"]);
}

#[test]
fn a_problem_becomes_a_record_with_the_labels_of_its_tags() {
    let want = Record {
        id: "p1".into(),
        video: Some("videos/x.mp4".into()),
        query: "What is it?".into(),
        answer: TAGGED.into(),
        labels: labels(1, 0),
        ..Record::default()
    };
    assert_eq!(one(&grpo(), &GRPO), want);
}

#[test]
fn each_type_of_problem_is_a_task() {
    for (name, task) in [
        ("free-form", Task::FreeForm),
        ("multiple choice", Task::MultipleChoice),
        ("numerical", Task::Numerical),
        ("OCR", Task::Ocr),
        ("regression", Task::Regression),
    ] {
        let mut value = grpo();
        value["problem_type"] = name.into();
        value["solution"] = "<answer>B</answer>".into();
        value["options"] = json!(["A. one", "B. two"]);
        let record = one(&value, &GRPO);
        assert_eq!(
            (record.task, record.labels),
            (task, safety::Labels::default())
        );
        assert_eq!(
            record.options.len(),
            if task == Task::MultipleChoice { 2 } else { 0 }
        );
    }
    let mut value = grpo();
    value["problem_type"] = "poetry".into();
    refused(&value, &GRPO, &["`poetry`", "`multiple choice`"]);
}

#[test]
fn keys_that_say_nothing_to_us_are_counted() {
    let mut value = grpo();
    value["source"] = "somewhere".into();
    let two = format!("[{value}, {}]", value.to_string().replace("p1", "p2"));
    let (_, done) = converted(&two, &GRPO).unwrap();
    assert_eq!(done.ignored, [("source".to_owned(), 2)].into());
}

#[test]
fn an_array_and_lines_say_the_same() {
    let values = [
        sft("<video>\nOne?"),
        json!({"conversations": talk("Two?", "2")}),
    ];
    let lines = format!("{}\n{}\n", values[0], values[1]);
    let array = serde_json::to_string_pretty(&values).unwrap();
    assert_eq!(
        converted(&lines, &SFT).unwrap(),
        converted(&array, &SFT).unwrap()
    );
}

#[test]
fn a_path_out_of_the_folder_is_refused() {
    for path in ["../x.mp4", "/etc/passwd", "a/../../x.mp4", ""] {
        let mut value = grpo();
        value["path"] = path.into();
        refused(&value, &GRPO, &["line 1", "(p1)", "is not a path below"]);
    }
}

#[test]
fn every_bad_record_is_counted_and_the_first_are_named() {
    let lines = format!("{}\n{{\n{}\n[1]\n", sft("q"), sft("q"));
    let reason = converted(&lines, &SFT).unwrap_err();
    for word in [
        "3 bad lines",
        "line 2:",
        "line 3 (a): another record",
        "line 4: is [1], not an object",
    ] {
        assert!(reason.contains(word), "{reason:?} lacks {word:?}");
    }
}

#[test]
fn media_may_lie_in_a_folder_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("data/media")).unwrap();
    std::fs::create_dir_all(root.join("lists")).unwrap();
    let mut value = grpo();
    value["path"] = root.join("data/media/x.mp4").to_str().unwrap().into();
    let (input, output) = (root.join("lists/rl.jsonl"), root.join("data/ours.jsonl"));
    std::fs::write(&input, value.to_string()).unwrap();
    let videos = root.join("data/media");
    let how = Conversion {
        videos: Some(&videos),
        ..GRPO
    };
    convert(&input, &output, &how).unwrap();
    assert_eq!(read(&output).unwrap()[0].video, Some(videos.join("x.mp4")));
    let beside = root.join("lists/ours.jsonl");
    let reason = convert(&input, &beside, &how).unwrap_err().to_string();
    assert!(
        reason.contains("(p1)") && reason.contains("folder above its videos"),
        "{reason}"
    );
}
