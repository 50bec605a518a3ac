//! `alarum data` on files as a user has them.

use std::path::Path;

use crate::{alarum, checkpoint, fails, film, said, succeeds, text};

const TAGGED: &str = "<think>t</think><answer>a</answer><vidType>1</vidType><textType>0</textType>";

fn official(folder: &Path) {
    std::fs::create_dir_all(folder.join("videos")).unwrap();
    film(&["-pix_fmt", "yuv420p"], &folder.join("videos/x.mp4"));
    let one = |i: usize| {
        format!(
            r#"{{"id": "s{i}", "video": ["videos/x.mp4"], "source": "made", "conversations": [{{"from": "human", "value": "<video>\nWhat is {i}?"}}, {{"from": "gpt", "value": "A picture."}}], "safety_labels": {{"visual": 1, "textual": "0"}}}}"#
        )
    };
    let all: Vec<String> = (0..4).map(one).collect();
    std::fs::write(folder.join("sft.json"), format!("[{}]", all.join(",\n"))).unwrap();
    let problem = format!(
        r#"{{"problem_id": 7, "data_type": "video", "path": "videos/x.mp4", "problem": "What?", "problem_type": "free-form-and-choice", "solution": "{TAGGED}"}}"#
    );
    std::fs::write(folder.join("rl.jsonl"), problem + "\n").unwrap();
}

#[test]
fn official_files_become_ours_are_mixed_checked_and_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    official(folder.path());
    let (sft, ours) = (path("sft.json"), path("sft.jsonl"));
    let output = alarum(&[
        "data",
        "convert",
        &sft,
        &ours,
        "--from",
        "sft",
        "--to",
        "alarum",
        "--flip-labels",
    ]);
    assert!(said(&output).contains("key `source` of 4 records"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("4 records, 0 unlabelled"));
    assert!(
        std::fs::read_to_string(&ours)
            .unwrap()
            .contains(r#""labels":{"visual":0,"textual":1}"#)
    );
    let (rl, general) = (path("rl.jsonl"), path("general.jsonl"));
    succeeds(&[
        "data",
        "convert",
        &rl,
        &path("rl-ours.jsonl"),
        "--from",
        "grpo",
        "--to",
        "alarum",
    ]);
    succeeds(&["data", "check", &path("rl-ours.jsonl"), "--stage", "grpo"]);
    std::fs::write(
        &general,
        "{\"id\": \"g\", \"query\": \"Hello?\", \"answer\": \"Hello.\"}\n",
    )
    .unwrap();
    let mixed = path("mixed.jsonl");
    let (take, more) = (format!("{ours}=3"), format!("{general}=1"));
    let arguments = [
        "data",
        "mix",
        &mixed,
        "--take",
        &take,
        "--take",
        &more,
        "--assume-safe",
        &general,
    ];
    assert!(succeeds(&arguments).contains("1 of 1 records, 1 taken to be safe"));
    let model = checkpoint("grouped");
    let checked = succeeds(&[
        "data",
        "check",
        &mixed,
        "--model",
        text(&model),
        "--stage",
        "atc",
    ]);
    for words in [
        "4: 3 with a video",
        "labels    0 0: 1, 0 1: 3",
        "unlabelled 0 without",
        "tokens ",
    ] {
        assert!(checked.contains(words), "{words:?} is not in {checked:?}");
    }
    let back = path("back.json");
    succeeds(&[
        "data", "convert", &mixed, &back, "--from", "alarum", "--to", "sft",
    ]);
    assert!(
        std::fs::read_to_string(&back)
            .unwrap()
            .starts_with("[\n{\"id\":")
    );
}

#[test]
fn unusable_records_are_named_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.jsonl");
    let lines = [
        r#"{"id": "a", "query": "q", "answer": "b", "rejected": "c"}"#,
        r#"{"id": "b", "query": "q", "answer": "b"}"#,
        r#"{"id": "c", "video": "lost.mp4", "query": "q", "answer": "b", "rejected": "c"}"#,
        "{",
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let arguments = ["data", "check", text(&file), "--stage", "dpo"];
    fails(
        &arguments,
        1,
        &["data.jsonl has records that cannot be used"],
    );
    let output = alarum(&arguments);
    let found = String::from_utf8_lossy(&output.stdout);
    for words in [
        ":2 [b]: unusable: has no `rejected`",
        ":3 [c]: unusable:",
        "lost.mp4",
        ":4: unusable:",
    ] {
        assert!(found.contains(words), "{words:?} is not in {found:?}");
    }
}

#[test]
fn what_cannot_be_converted_or_mixed_is_the_users_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    official(folder.path());
    let (rl, out) = (path("rl.jsonl"), path("out.jsonl"));
    fails(
        &[
            "data", "convert", &rl, &out, "--from", "sft", "--to", "alarum",
        ],
        1,
        &["line 1", "`conversations`"],
    );
    fails(
        &["data", "mix", &out, "--take", "no-number"],
        2,
        &["FILE=N"],
    );
    fails(
        &["data", "mix", &out, "--take", &format!("{rl}=1")],
        1,
        &["rl.jsonl", "line 1"],
    );
    let arguments = [
        "data",
        "mix",
        &out,
        "--take",
        &format!("{rl}=1"),
        "--assume-safe",
        "other.jsonl",
    ];
    fails(&arguments, 1, &["other.jsonl"]);
    assert!(!Path::new(&out).exists());
}
