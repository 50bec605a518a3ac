//! A benchmark of the worst: broken videos, bad lines.

use std::path::Path;
use std::process::Command;

use serde_json::json;

/// `ffmpeg` with its own test picture as input.
pub(crate) fn film(arguments: &[&str], path: &Path) {
    let status = Command::new("ffmpeg")
        .args([
            "-loglevel",
            "error",
            "-nostdin",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=84x56:rate=4:duration=2",
        ])
        .args(arguments)
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

/// A benchmark over five broken videos and a good one, with three bad lines between its samples.
pub(crate) fn broken_benchmark(folder: &Path) {
    let videos = folder.join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    let good = videos.join("good.mp4");
    film(&["-pix_fmt", "yuv420p"], &good);
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(videos.join("truncated.mp4"), &bytes[..bytes.len() / 3]).unwrap();
    std::fs::write(videos.join("empty.mp4"), b"").unwrap();
    std::fs::write(videos.join("words.mp4"), b"this is no video").unwrap();
    std::fs::write(
        videos.join("list.mp4"),
        "ffconcat version 1.0\nfile good.mp4\n",
    )
    .unwrap();
    let sound = videos.join("sound.mp4");
    let status = Command::new("ffmpeg")
        .args([
            "-loglevel",
            "error",
            "-nostdin",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "sine=duration=1",
        ])
        .arg(&sound)
        .status()
        .unwrap();
    assert!(status.success());
    let mut lines = Vec::new();
    for name in ["good", "truncated", "empty", "words", "list", "sound"] {
        let path = format!("videos/{name}.mp4");
        let sha256 = video::hash::file(&folder.join(&path)).unwrap();
        lines.push(
            json!({
                "id": name, "subset": "HH", "category": "violence", "subcategory": "graphic-violence",
                "language": "en", "query": "What is this?",
                "video": {"path": path, "sha256": sha256, "seconds": 2.0},
                "labels": {"visual": 1, "textual": 1},
            })
            .to_string(),
        );
    }
    lines.insert(1, "{\"id\": \"half".to_owned());
    lines.insert(
        3,
        lines[0]
            .replace("\"good\"", "\"lost\"")
            .replace("videos/good.mp4", "videos/lost.mp4"),
    );
    lines.insert(
        5,
        lines[0]
            .replace("\"good\"", "\"odd\"")
            .replace("graphic-violence", "no-such-thing"),
    );
    let samples = lines.join("\n") + "\n";
    std::fs::write(folder.join("samples.jsonl"), &samples).unwrap();
    let manifest = format!(
        "format = 1\nname = \"broken\"\nversion = \"1\"\nsamples_sha256 = \"{}\"\n\n[counts]\nHH = 9\nSH = 0\nSafeQ = 0\n",
        video::hash::bytes(samples.as_bytes())
    );
    std::fs::write(folder.join("benchmark.toml"), manifest).unwrap();
}
