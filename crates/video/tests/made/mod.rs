//! Files for tests, made by ffmpeg or byte by byte.

#![expect(dead_code, reason = "each test binary takes what it needs")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use video::{Clip, Decoder, Error, FrameSize, Sampling};

/// One frame a second, at most 90.
pub(crate) const EACH_SECOND: Sampling = Sampling::Fps {
    fps: 1.0,
    max_frames: 90,
};

/// A folder that cleans up after itself.
pub(crate) struct Made(TempDir);

impl Made {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with these bytes.
    pub(crate) fn bytes(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A file that ffmpeg makes of a test picture: `source` as in `testsrc2=...`, then options.
    pub(crate) fn clip(&self, name: &str, source: &str, options: &str) -> PathBuf {
        let path = self.path(name);
        ffmpeg(&format!("-f lavfi -i {source} {options}"), &path);
        path
    }

    /// A program that stands in for ffmpeg. It is another process that writes it: a file that this
    /// process has open for writing could be inherited by a child and then not be run.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let (text, path) = (self.path("text"), self.path(name));
        fs::write(&text, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            Command::new("cp")
                .args([&text, &path])
                .status()
                .unwrap()
                .success()
        );
        path
    }

    /// Ten seconds of H.264 at 10 frames a second, 64 × 48.
    pub(crate) fn ten_seconds(&self) -> PathBuf {
        self.clip("ten.mp4", "testsrc2=size=64x48:rate=10:duration=10", H264)
    }
}

pub(crate) const H264: &str = "-pix_fmt yuv420p -c:v libx264 -preset ultrafast";

pub(crate) fn ffmpeg(options: &str, out: &Path) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin", "-y"])
        .args(options.split_whitespace())
        .arg(out);
    let ended = command.output().unwrap();
    assert!(
        ended.status.success(),
        "{options}: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// All pixels that a plain ffmpeg command line gives.
pub(crate) fn plain(path: &Path, filters: &str) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-vf", filters]);
    command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
    command.output().unwrap().stdout
}

pub(crate) fn pixels(clip: &Clip) -> Vec<u8> {
    clip.frames
        .iter()
        .flat_map(|frame| frame.rgb.iter().copied())
        .collect()
}

pub(crate) fn times(clip: &Clip) -> Vec<f64> {
    clip.frames.iter().map(|frame| frame.seconds.0).collect()
}

pub(crate) fn native(path: &Path, sampling: Sampling) -> Result<Clip, Error> {
    Decoder::default().video(path, sampling, FrameSize::Native)
}

/// The message, and below it that of its cause.
pub(crate) fn said(error: &Error) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}
