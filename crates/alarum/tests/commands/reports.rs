//! `alarum report` on folders of every kind.

use std::path::Path;

use crate::{fails, succeeds, text};

const START: &str = r#"{"event":"run_start","version":1,"recipe":{"seed":1},"seed":1,"versions":{"alarum":"0.0.0"},"data":"00","samples":8,"parameters":10,"steps":2}"#;
const STEP: &str = r#"{"event":"step","step":1,"epoch":0,"loss":6.5,"grad_norm":7.5,"learning_rates":{"default":0.001},"samples":8,"tokens":100,"targets":10,"seconds":0.5}"#;
const BAD: &str = r#"{"event":"stop"}"#;

/// A training run of these lines; the last one is torn.
fn training(folder: &Path, lines: &[&str]) {
    std::fs::create_dir_all(folder).unwrap();
    let whole: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let text = whole + r#"{"event":"st"#;
    std::fs::write(folder.join("events.jsonl"), text).unwrap();
}

#[test]
fn a_training_run_under_way_has_a_report() {
    let folder = tempfile::tempdir().unwrap();
    training(folder.path(), &[START, STEP]);
    let said = succeeds(&["report", text(folder.path())]);
    assert!(said.contains("1 of 2") && said.contains("Loss"), "{said}");
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("<h3>Norm of the gradient"));
}

#[test]
fn a_chain_of_training_runs_has_one_report() {
    let folder = tempfile::tempdir().unwrap();
    for stage in ["1-sft", "2-atc"] {
        training(&folder.path().join(stage), &[START, STEP]);
    }
    let html = folder.path().join("page.html");
    let said = succeeds(&["report", text(folder.path()), "--html", text(&html)]);
    assert!(said.contains("0 of 2 stages finished"), "{said}");
    assert!(html.is_file());
}

#[test]
fn a_line_that_is_no_event_is_named() {
    let folder = tempfile::tempdir().unwrap();
    training(folder.path(), &[START, BAD, STEP]);
    fails(
        &["report", text(folder.path())],
        2,
        &["events.jsonl", "line 2", "`stop`"],
    );
}

#[test]
fn a_training_run_that_wrote_nothing_yet_says_so() {
    let folder = tempfile::tempdir().unwrap();
    training(folder.path(), &[]);
    let words = ["has not written its first line yet"];
    fails(&["report", text(folder.path())], 1, &words);
}

#[test]
fn a_folder_that_is_no_run_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["is no run", "run.toml", "events.jsonl", "alarum train"];
    fails(&["report", text(folder.path())], 1, &words);
}

#[test]
fn a_folder_around_a_run_names_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("training");
    training(&run, &[START, STEP]);
    let meant = format!("did you mean {}?", run.display());
    fails(&["report", text(folder.path())], 1, &[&meant]);
}

#[test]
fn an_evaluation_whose_settings_are_incomplete_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run.toml"), "format = 1\n").unwrap();
    fails(
        &["report", text(folder.path())],
        2,
        &["run.toml", "missing field"],
    );
}
