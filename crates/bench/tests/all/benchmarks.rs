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
    let places: Vec<_> = report.problems.iter().map(|p| (p.line, &p.id)).collect();
    let ids = ["SH-0", "SH-1"].map(|id| Some(id.to_owned()));
    assert_eq!(places, [(Some(3), &ids[0]), (Some(4), &ids[1])]);
    assert!(report.problems[0].what.contains("videos/SH.mp4"));
    assert_eq!((report.samples, report.videos), (4, 3));
}

#[test]
fn a_hash_that_is_none_is_named() {
    let hash = video::hash::bytes(b"HH");
    check_line(
        |line| line.replacen(&hash, "../../../../etc/", 1).into_bytes(),
        &["HH-1", "64 lower-case hexadecimal digits"],
    );
}

#[test]
fn a_harmful_query_without_a_video_is_named() {
    let cut = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("video");
        line.to_string().into_bytes()
    };
    check_line(cut, &["is in HH and has no video"]);
}

#[test]
fn a_pipe_is_no_file_of_samples() {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    let path = folder.path().join("samples.jsonl");
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let error = Benchmark::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is not a regular file"), "{error}");
}

#[test]
fn a_manifest_of_a_newer_format_says_so() {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    let path = folder.path().join("benchmark.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("format = 1", "format = 2")).unwrap();
    let error = Benchmark::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("format 2 is not known, only 1: use a newer alarum"),
        "{error}"
    );
}

#[test]
fn a_benchmark_may_bring_its_own_taxonomy() {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    let path = folder.path().join("benchmark.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("taxonomy = \"own.toml\"\n{text}")).unwrap();
    let own = r#"
name = "weather"
version = "1"
source = "Clouds."

[[category]]
id = "violence"
name = "Storms"
definition = "Strong winds."

[[category.subcategory]]
id = "hail"
name = "Hail"
definition = "Ice that falls."
"#;
    std::fs::write(folder.path().join("own.toml"), own).unwrap();
    let benchmark = Benchmark::open(folder.path()).unwrap();
    assert_eq!(
        (benchmark.taxonomy.name(), benchmark.samples.len()),
        ("weather", 0)
    );
    assert!(
        benchmark.problems[0]
            .what
            .contains("is not one of \"violence\"")
    );
}

/// One benchmark with everything that can be wrong with a line, as people read it.
#[test]
fn every_bad_line_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    benchmark(folder.path());
    let good = lines(folder.path());
    let hh = |from: &str, to: &str| {
        assert!(good[1].contains(from), "{from}");
        let new = good[1].replacen(from, to, 1);
        new.replacen(
            "HH-1",
            &format!("HH-{}", video::hash::bytes(to.as_bytes())[..4].to_owned()),
            1,
        )
        .into_bytes()
    };
    let hash = video::hash::bytes(b"HH");
    let bad: Vec<Vec<u8>> = vec![
        b"{\"id\": \"cut".to_vec(),
        b"[1, 2]".to_vec(),
        b"\xff\xfe".to_vec(),
        vec![b'x'; 2 << 20],
        good[0].clone().into_bytes(),
        hh("{\"id\"", "{\"colour\": 1, \"id\""),
        hh("\"query\":\"question 1\",", ""),
        hh("question 1", "  "),
        hh("\"HH\"", "\"HX\""),
        hh("\"en\"", "\"xx\""),
        hh("\"violence\"", "\"weather\""),
        hh("\"subcategory\":\"", "\"subcategory\":\"un"),
        hh("\"visual\":1", "\"visual\":0"),
        hh("\"visual\":1", "\"visual\":2"),
        hh("\"visual\":1", "\"visual\":1,\"textual\":0"),
        hh("videos/HH.mp4", "../HH.mp4"),
        hh("videos/HH.mp4", "/etc/hostname"),
        hh("videos/HH.mp4", "videos"),
        hh("videos/HH.mp4", "videos/none.mp4"),
        hh("\"seconds\":1.0", "\"seconds\":-1.0"),
        hh(&hash, "abc"),
        hh(&hash, &hash.replace(|c: char| c.is_ascii_digit(), "0")),
    ];
    let mut text = bad.join(&b'\n');
    text.push(b'\n');
    for line in &good {
        text.extend(line.as_bytes());
        text.push(b'\n');
    }
    std::fs::write(folder.path().join("samples.jsonl"), text).unwrap();
    let report = check(folder.path()).unwrap();
    let said: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(format!("{}\n{}", said.join("\n"), report.summary()));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn every_line_is_a_sample_or_a_problem(
        lines in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40), 0..8)
    ) {
        let folder = tempfile::tempdir().unwrap();
        benchmark(folder.path());
        let path = folder.path().join("samples.jsonl");
        let mut text = std::fs::read(&path).unwrap();
        text.extend(lines.join(&b'\n'));
        std::fs::write(&path, &text).unwrap();
        let benchmark = Benchmark::open(folder.path()).unwrap();
        let filled = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let named: std::collections::BTreeSet<_> =
            benchmark.problems.iter().filter_map(|problem| problem.line).collect();
        assert_eq!(benchmark.samples.len(), 6);
        assert_eq!(benchmark.samples.len() + named.len(), filled.count());
    }
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
