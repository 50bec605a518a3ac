//! The built binary as a user meets it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod broken;
mod data;
mod recipes;
mod reports;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use broken::{broken_benchmark, film};
use serde_json::{Value, json};

/// A checkpoint of the model crate's goldens.
fn checkpoint(name: &str) -> PathBuf {
    goldens().join(name).join("checkpoint")
}

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/goldens")
}

fn alarum(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alarum"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn succeeds(arguments: &[&str]) -> String {
    let output = alarum(arguments);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Fails with that exit code, saying all of `words`.
#[track_caller]
fn fails(arguments: &[&str], code: i32, words: &[&str]) {
    let output = alarum(arguments);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn evaluation_names_broken_videos_and_bad_lines_and_finishes_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (benchmark, run) = (folder.path().join("benchmark"), folder.path().join("run"));
    broken_benchmark(&benchmark);
    let model = checkpoint("grouped");
    let arguments = [
        "eval",
        "--model",
        text(&model),
        "--benchmark",
        text(&benchmark),
        "--out",
        text(&run),
        "--max-tokens",
        "4",
    ];
    let output = alarum(&arguments);
    let talk = said(&output);
    assert!(output.status.success(), "{talk}");
    for words in [
        "samples.jsonl:2",
        "samples.jsonl:4 [lost]",
        "samples.jsonl:6 [odd]",
        "no-such-thing",
    ] {
        assert!(talk.contains(words), "{words:?} is not in {talk:?}");
    }
    let results: Value =
        serde_json::from_slice(&std::fs::read(run.join("results.json")).unwrap()).unwrap();
    assert_eq!(
        (&results["samples"], &results["problems"]),
        (&json!(6), &json!(3))
    );
    let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let records: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 12);
    for record in &records {
        let broken = record["sample"] != "good" && record["condition"] == "with_video";
        assert_eq!(record["outcome"] == "error", broken, "{record}");
        if broken {
            let name = format!("{}.mp4", record["sample"].as_str().unwrap());
            assert!(
                record["error"].as_str().unwrap().contains(&name),
                "{record}"
            );
        }
    }
    let html = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(html.contains("truncated.mp4"));
}

#[test]
fn a_killed_evaluation_resumes_to_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let benchmark = folder.path().join("benchmark");
    broken_benchmark(&benchmark);
    let model = checkpoint("grouped");
    let eval = |run: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alarum"));
        command.args([
            "eval",
            "--model",
            text(&model),
            "--benchmark",
            text(&benchmark),
            "--out",
            text(run),
        ]);
        command
            .args(["--max-tokens", "48"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    assert!(eval(&whole).status().unwrap().success());
    let mut child = eval(&killed).spawn().unwrap();
    // Killed as soon as something was written down, whenever that is.
    while std::fs::metadata(killed.join("journal.jsonl")).map_or(0, |data| data.len()) == 0 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::yield_now();
    }
    let _it_may_have_ended = child.kill();
    child.wait().unwrap();
    assert!(eval(&killed).status().unwrap().success());
    let read = |run: &Path| std::fs::read(run.join("results.json")).unwrap();
    assert_eq!(read(&whole), read(&killed));
    let journal = std::fs::read_to_string(killed.join("journal.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), 12);

    // A line that a broken disk spoiled is named, and set aside on request.
    std::fs::write(
        killed.join("journal.jsonl"),
        journal.replacen("\"epoch\"", "\0", 1),
    )
    .unwrap();
    let refused = eval(&killed).stderr(Stdio::piped()).output().unwrap();
    assert!(said(&refused).contains("line 1"), "{}", said(&refused));
    assert!(succeeds(&["repair", text(&killed)]).contains("11 records kept, 1 lines set aside"));
    assert!(eval(&killed).status().unwrap().success());
    assert_eq!(read(&whole), read(&killed));
}

/// `inspect` agrees with what `transformers` made of the same frames and words.
#[test]
fn inspect_shows_what_the_reference_sees() {
    let golden: Value = serde_json::from_str(
        &std::fs::read_to_string(goldens().join("grouped/video.json")).unwrap(),
    )
    .unwrap();
    let prompt = &golden["prompts"][0];
    let frames = tempfile::tempdir().unwrap();
    for (index, file) in prompt["media"][0]["files"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let from = goldens().join("media").join(file.as_str().unwrap());
        std::fs::copy(from, frames.path().join(format!("{index:03}.png"))).unwrap();
    }
    let query: String = prompt["messages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|message| message["content"].as_array().unwrap())
        .filter_map(|part| part["text"].as_str())
        .collect();
    let model = checkpoint("grouped");
    let shown = succeeds(&[
        "inspect",
        "logits",
        "--model",
        text(&model),
        "--video",
        text(frames.path()),
        "--fps",
        "2",
        "--query",
        &query,
        "--json",
        "--generate",
        "16",
    ]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["prompt"], prompt["expanded"]);
    assert_eq!(shown["input_ids"], prompt["input_ids"]);
    // The reference was made to go on after the stop token, at which we end.
    let (ours, reference) = (
        shown["generated"]["ids"].as_array().unwrap(),
        prompt["generated"].as_array().unwrap(),
    );
    assert!(!ours.is_empty() && reference.starts_with(ours));
    assert_eq!(shown["grid"][0], golden["vision"][0]["grid"]);
    let kept = golden["vision"][0]["keep"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|keep| **keep == json!(1))
        .count();
    assert_eq!(shown["vision_tokens"]["after"], json!(kept));
    assert_eq!(shown["alarm"], Value::Null);
    assert!(shown["logits"].as_array().unwrap().len() > 100);
}

#[test]
fn inspect_frames_gives_times_and_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    film(&["-pix_fmt", "yuv420p"], &path);
    let model = checkpoint("grouped");
    let shown = succeeds(&[
        "inspect",
        "frames",
        "--model",
        text(&model),
        "--video",
        text(&path),
        "--json",
    ]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let frames = shown[0]["frames"].as_array().unwrap();
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[1]["seconds"], json!(1.0));
    assert_eq!(frames[0]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn chat_answers_the_same_twice() {
    let model = checkpoint("grouped");
    let ask = || {
        succeeds(&[
            "chat",
            "--model",
            text(&model),
            "--max-tokens",
            "8",
            "Is there a circle?",
        ])
    };
    let answer = ask();
    assert!(answer.trim_end().len() > 1);
    assert_eq!(answer, ask());
}

#[test]
fn a_folder_that_is_no_model_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fails(
        &["chat", "--model", text(folder.path()), "hello"],
        2,
        &["config.json"],
    );
    fails(
        &["chat", "--model", "/no/such/folder", "hello"],
        1,
        &["/no/such/folder", "checkpoint"],
    );
}

#[test]
fn a_folder_that_is_no_benchmark_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = checkpoint("grouped");
    let out = folder.path().join("run");
    let arguments = [
        "eval",
        "--model",
        text(&model),
        "--benchmark",
        text(folder.path()),
        "--out",
        text(&out),
    ];
    fails(&arguments, 1, &["benchmark.toml"]);
}

#[test]
fn a_check_names_every_bad_line_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    broken_benchmark(folder.path());
    let output = alarum(&["bench", "check", text(folder.path())]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    for words in [
        "samples.jsonl:2",
        "samples.jsonl:4 [lost]",
        "samples.jsonl:6 [odd]",
        "6 good samples",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
}

#[test]
fn the_doctor_finds_ffmpeg() {
    let text = succeeds(&["doctor"]);
    assert!(text.contains("ffmpeg version"), "{text}");
}

#[test]
fn a_rate_of_nothing_is_refused() {
    let model = checkpoint("grouped");
    fails(
        &[
            "inspect",
            "frames",
            "--model",
            text(&model),
            "--video",
            "x.mp4",
            "--fps",
            "0",
        ],
        1,
        &["fps"],
    );
}
