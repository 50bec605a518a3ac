//! Benchmark folders: what is wrong with one is said with file, line, id and remedy.

use std::path::Path;

use crate::world::benchmark;
use bench::Benchmark;
use bench::format::check;

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("samples.jsonl")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The problems of the small benchmark after `change` was made to the text of its second line; its
/// hash is then wrong as well, which is left out.
fn problems(change: impl Fn(&str) -> Vec<u8>) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    let mut out: Vec<u8> = Vec::new();
    for (index, line) in lines(folder.path()).iter().enumerate() {
        out.extend(if index == 1 {
            change(line)
        } else {
            line.clone().into_bytes()
        });
        out.push(b'\n');
    }
    std::fs::write(folder.path().join("samples.jsonl"), out).unwrap();
    let report = check(folder.path()).unwrap();
    let said = report
        .problems
        .iter()
        .filter(|problem| problem.file != "benchmark.toml");
    (
        report.samples,
        said.map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    )
}

/// One bad line is named with its number, and the other samples are kept.
#[track_caller]
fn check_line(change: impl Fn(&str) -> Vec<u8>, words: &[&str]) {
    let (samples, said) = problems(change);
    assert_eq!(samples, 5, "{said}");
    assert!(said.contains("samples.jsonl:2"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
}

/// A change by replacing one piece of the line.
fn swap(from: &'static str, to: &'static str) -> impl Fn(&str) -> Vec<u8> {
    move |line| {
        assert!(line.contains(from), "{from} is not in {line}");
        line.replacen(from, to, 1).into_bytes()
    }
}

#[test]
fn a_good_benchmark_has_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    let report = check(folder.path()).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.summary(), "6 good samples, 3 videos, no problem");
}

#[test]
fn broken_json_is_named() {
    check_line(
        |line| line.as_bytes()[..20].to_vec(),
        &["EOF", "write one JSON object"],
    );
}

#[test]
fn an_unknown_key_is_named_with_the_id() {
    check_line(swap("{\"id\"", "{\"colour\":1,\"id\""), &["HH-1", "colour"]);
}

#[test]
fn a_missing_field_is_named() {
    check_line(swap("\"query\":\"question 1\",", ""), &["HH-1", "query"]);
}

#[test]
fn a_second_use_of_an_id_is_named() {
    check_line(swap("HH-1", "HH-0"), &["has the id of line 1"]);
}

#[test]
fn an_unknown_category_is_named() {
    check_line(swap("\"violence\"", "\"weather\""), &["weather"]);
}

#[test]
fn an_unknown_language_is_named() {
    check_line(swap("\"language\":\"en\"", "\"language\":\"xx\""), &["xx"]);
}

#[test]
fn an_unknown_subset_is_named() {
    check_line(swap("\"subset\":\"HH\"", "\"subset\":\"HX\""), &["HX"]);
}

#[test]
fn a_path_out_of_the_folder_is_refused() {
    check_line(
        swap("videos/HH.mp4", "../secret.mp4"),
        &["leaves the benchmark's folder"],
    );
    check_line(
        swap("videos/HH.mp4", "/etc/hostname"),
        &["leaves the benchmark's folder"],
    );
}

#[test]
fn a_missing_video_is_named() {
    check_line(
        swap("videos/HH.mp4", "videos/none.mp4"),
        &["videos/none.mp4"],
    );
}

#[test]
fn a_label_against_its_subset_is_named() {
    check_line(swap("\"visual\":1", "\"visual\":0"), &["visual label 0"]);
}

#[test]
fn a_label_that_is_no_label_is_named() {
    check_line(
        swap("\"visual\":1", "\"visual\":2"),
        &["HH-1", "neither 0 (safe) nor 1 (harmful)"],
    );
}

#[test]
fn an_empty_query_is_named() {
    check_line(swap("question 1", " "), &["empty query"]);
}

#[test]
fn bytes_that_are_no_text_are_named() {
    check_line(|_| vec![0xff, 0xfe, 0x20], &["UTF-8"]);
}

#[test]
fn an_endless_line_is_passed_over() {
    check_line(|_| vec![b'x'; 3 << 20], &["longer than 1048576 bytes"]);
}

#[test]
fn a_link_out_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    let link = folder.path().join("videos/HH.mp4");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    let benchmark = Benchmark::open(folder.path()).unwrap();
    assert_eq!(benchmark.samples.len(), 4);
    assert!(
        benchmark.problems[0]
            .to_string()
            .contains("leaves the benchmark's folder")
    );
}

#[test]
fn a_changed_video_is_found_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    std::fs::write(folder.path().join("videos/SH.mp4"), "other").unwrap();
    let report = check(folder.path()).unwrap();
    assert_eq!(report.problems.len(), 1);
    assert!(
        report.problems[0].what.contains("sha256 of videos/SH.mp4"),
        "{}",
        report.problems[0]
    );
}

#[test]
fn a_changed_file_of_samples_is_found_by_its_hash_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    let text = lines(folder.path())[..5].join("\n");
    std::fs::write(folder.path().join("samples.jsonl"), text).unwrap();
    let problems = check(folder.path()).unwrap().problems;
    assert_eq!(problems.len(), 2);
    assert!(
        problems
            .iter()
            .all(|problem| problem.file == "benchmark.toml")
    );
}

#[test]
fn a_folder_that_is_no_benchmark_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Benchmark::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("holds no benchmark.toml"), "{error}");
}
