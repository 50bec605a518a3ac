//! Films of ffmpeg's own test pictures, made for one test each.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/goldens")
}

/// What `source` of ffmpeg's filters gives, as the file `name`.
pub(crate) fn film(folder: &Path, name: &str, source: &str) {
    let status = Command::new("ffmpeg")
        .args([
            "-loglevel",
            "error",
            "-nostdin",
            "-y",
            "-f",
            "lavfi",
            "-i",
            source,
        ])
        .args(if name.ends_with(".png") {
            ["-frames:v", "1"]
        } else {
            ["-pix_fmt", "yuv420p"]
        })
        .arg(folder.join(name))
        .status()
        .unwrap();
    assert!(status.success());
}

/// A folder with `count` different films `0.mp4`, `1.mp4`, …
pub(crate) fn films(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..count {
        let seconds = 1 + i % 3;
        let source = format!(
            "testsrc=size={}x56:rate=4:duration={seconds}",
            56 + 28 * (i % 2) + 4 * i
        );
        film(folder.path(), &format!("{i}.mp4"), &source);
    }
    folder
}
