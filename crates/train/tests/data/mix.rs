//! Mixtures are drawn by their seed.

use std::path::{Path, PathBuf};

use train::data::mix::{Take, Unlabelled, mix};
use train::data::{Record, read};

use crate::{labels, record, write};

fn file(folder: &Path, name: &str, count: usize) -> PathBuf {
    let records: Vec<Record> = (0..count)
        .map(|i| Record {
            query: format!("{name} {i}?"),
            ..record(&format!("{name}{i}"))
        })
        .collect();
    write(&folder.join(format!("{name}.jsonl")), &records)
}

fn take(file: &Path, count: usize) -> Take {
    Take {
        file: file.to_owned(),
        count,
        unlabelled: Unlabelled::Unknown,
    }
}

fn ids(path: &Path) -> Vec<String> {
    read(path)
        .unwrap()
        .into_iter()
        .map(|record| record.id)
        .collect()
}

#[test]
fn one_seed_gives_one_mixture() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (file(folder.path(), "a", 60), file(folder.path(), "b", 30));
    let mixed = |seed| {
        let output = folder.path().join(format!("{seed}.jsonl"));
        mix(&output, &[take(&a, 20), take(&b, 10)], seed).unwrap();
        std::fs::read(output).unwrap()
    };
    assert_eq!(mixed(42), mixed(42));
    assert_ne!(mixed(42), mixed(43));
    let ids = ids(&folder.path().join("42.jsonl"));
    let of = |name: &str| ids.iter().filter(|id| id.starts_with(name)).count();
    assert_eq!((of("a"), of("b")), (20, 10));
    assert!(ids[..15].iter().any(|id| id.starts_with('b')), "{ids:?}");
}

#[test]
fn what_is_drawn_from_a_file_does_not_depend_on_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (file(folder.path(), "a", 60), file(folder.path(), "b", 30));
    let output = folder.path().join("mixed.jsonl");
    let drawn = |takes: &[Take]| {
        mix(&output, takes, 42).unwrap();
        let mut ids = ids(&output);
        ids.retain(|id| id.starts_with('a'));
        ids.sort();
        ids
    };
    assert_eq!(drawn(&[take(&a, 20)]), drawn(&[take(&a, 20), take(&b, 30)]));
}

#[test]
fn unknown_is_safe_only_where_the_user_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (file(folder.path(), "a", 2), file(folder.path(), "b", 2));
    let harmful = Record {
        labels: labels(1, 1),
        ..record("c")
    };
    let c = write(&folder.path().join("c.jsonl"), &[harmful]);
    let safe = |take| Take {
        unlabelled: Unlabelled::Safe,
        ..take
    };
    let output = folder.path().join("mixed.jsonl");
    let taken = mix(
        &output,
        &[take(&a, 2), safe(take(&b, 2)), safe(take(&c, 1))],
        1,
    )
    .unwrap();
    let counts: Vec<_> = taken
        .iter()
        .map(|taken| (taken.of, taken.labelled))
        .collect();
    assert_eq!(counts, [(2, 0), (2, 2), (1, 0)]);
    for record in read(&output).unwrap() {
        let want = match &record.id[..1] {
            "a" => safety::Labels::default(),
            "b" => labels(0, 0),
            _ => labels(1, 1),
        };
        assert_eq!(record.labels, want);
    }
}

#[test]
fn an_id_of_two_files_gets_the_name_of_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let a = file(folder.path(), "a", 1);
    let b = folder.path().join("b.jsonl");
    std::fs::copy(&a, &b).unwrap();
    let output = folder.path().join("mixed.jsonl");
    let taken = mix(&output, &[take(&a, 1), take(&b, 1)], 1).unwrap();
    assert_eq!(taken[1].renamed, 1);
    let mut ids = ids(&output);
    ids.sort();
    assert_eq!(ids, ["a0", "b/a0"]);
}

#[test]
fn more_than_a_file_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let a = file(folder.path(), "a", 3);
    let error = mix(&folder.path().join("m.jsonl"), &[take(&a, 4)], 1).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("a.jsonl: has 3 records, 4 were asked for"),
        "{error}"
    );
    assert!(!folder.path().join("m.jsonl").exists());
}

#[test]
fn media_are_written_relative_to_the_mixture() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let film = Record {
        video: Some("v/x.mp4".into()),
        ..record("a")
    };
    let a = write(&inner.join("a.jsonl"), &[film]);
    let output = folder.path().join("m.jsonl");
    mix(&output, &[take(&a, 1)], 1).unwrap();
    assert_eq!(read(&output).unwrap()[0].video, Some(inner.join("v/x.mp4")));
    let other = tempfile::tempdir().unwrap();
    let error = mix(&other.path().join("m.jsonl"), &[take(&a, 1)], 1)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("record a:") && error.contains("is not below"),
        "{error}"
    );
}
