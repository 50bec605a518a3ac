//! The invariants of `ARCHITECTURE.md`, read off `cargo metadata`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each of our crates with every crate that it is built from, tests' own dependencies left out.
fn built_from() -> BTreeMap<String, BTreeSet<String>> {
    // Packages for other platforms were perhaps never downloaded.
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            host.unwrap(),
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let direct: BTreeMap<String, Vec<String>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let normal = |dep: &&Value| {
                list(&dep["dep_kinds"])
                    .iter()
                    .any(|kind| kind["kind"].is_null())
            };
            let deps = list(&node["deps"]);
            (
                text(&node["id"]),
                deps.iter()
                    .filter(normal)
                    .map(|dep| text(&dep["pkg"]))
                    .collect(),
            )
        })
        .collect();
    list(&metadata["workspace_members"])
        .iter()
        .map(|member| {
            let mut seen = BTreeSet::new();
            let mut left = vec![text(member)];
            while let Some(id) = left.pop() {
                for dep in &direct[&id] {
                    if seen.insert(dep.clone()) {
                        left.push(dep.clone());
                    }
                }
            }
            (
                names[&text(member)].clone(),
                seen.iter().map(|id| names[id].clone()).collect(),
            )
        })
        .collect()
}

#[track_caller]
fn check(name: &str, never: &[&str]) {
    let built_from = built_from();
    for banned in never {
        assert!(
            !built_from[name].contains(*banned),
            "`{name}` must not be built from `{banned}`"
        );
    }
}

#[test]
fn the_test_sees_the_arrows() {
    let built_from = built_from();
    assert!(built_from["model"].contains("video") && built_from["alarum"].contains("candle-core"));
}

#[test]
fn safety_is_pure() {
    let ours = ["video", "model", "train", "chat", "bench", "alarum"];
    let world = [
        "candle-core",
        "tokio",
        "reqwest",
        "axum",
        "image",
        "tempfile",
        "memmap2",
    ];
    check("safety", &ours);
    check("safety", &world);
}

#[test]
fn video_stands_alone() {
    check("video", &["model", "train", "candle-core", "chat", "bench"]);
}

#[test]
fn evaluation_knows_no_tensor() {
    check("bench", &["model", "train", "candle-core"]);
    check("chat", &["model", "train", "candle-core", "bench"]);
}

#[test]
fn the_model_knows_no_network_and_no_benchmark() {
    check("model", &["chat", "bench", "train", "tokio"]);
    check("train", &["chat", "bench", "tokio"]);
}
