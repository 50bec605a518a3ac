//! Nothing costs more than it may: files that are too large, decoders that never end.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use video::{Decoder, Error, FrameSize, Limits};

mod made;
use made::{EACH_SECOND, Made, said};

/// The error's words, in which the file must be named.
#[track_caller]
fn refused(decoder: &Decoder, path: &Path) -> String {
    let error = decoder
        .video(path, EACH_SECOND, FrameSize::Native)
        .unwrap_err();
    let said = said(&error);
    assert!(said.contains(&*path.to_string_lossy()), "{said}");
    said
}

#[track_caller]
fn check_limit(limits: Limits, path: &Path, want: &str) {
    let said = refused(
        &Decoder {
            limits,
            ..Decoder::default()
        },
        path,
    );
    assert!(said.contains(want), "{said}");
}

#[test]
fn frames_with_more_pixels_than_allowed() {
    let limits = Limits {
        frame_pixels: 64 * 48 - 1,
        ..Limits::default()
    };
    check_limit(
        limits,
        &Made::new().ten_seconds(),
        "has frames of 64x48, the limit is 3071 pixels",
    );
}

#[test]
fn a_larger_file_than_allowed() {
    let limits = Limits {
        file_bytes: 100,
        ..Limits::default()
    };
    check_limit(
        limits,
        &Made::new().ten_seconds(),
        "bytes, the limit is 100",
    );
}

#[test]
fn more_frames_than_allowed() {
    let limits = Limits {
        frames: 9,
        ..Limits::default()
    };
    check_limit(
        limits,
        &Made::new().ten_seconds(),
        "gives more than 9 frames: sample fewer",
    );
}

#[test]
fn more_bytes_of_frames_than_allowed() {
    let limits = Limits {
        output_bytes: 64 * 48 * 3 * 9,
        ..Limits::default()
    };
    check_limit(
        limits,
        &Made::new().ten_seconds(),
        "gives more than 82944 bytes of frames",
    );
}

#[test]
fn scaling_cannot_exceed_the_pixels_allowed() {
    let decoder = Decoder {
        limits: Limits {
            frame_pixels: 10_000,
            ..Limits::default()
        },
        ..Decoder::default()
    };
    let size = FrameSize::Exact {
        width: 1000,
        height: 1000,
    };
    let error = decoder
        .video(&Made::new().ten_seconds(), EACH_SECOND, size)
        .unwrap_err();
    assert!(matches!(error, Error::Pixels { .. }), "{error}");
}

/// Limits for decoders that never come to an end.
fn soon() -> Limits {
    Limits {
        deadline: Duration::from_millis(300),
        ..Limits::default()
    }
}

#[track_caller]
fn check_ends(body: &str, want: &str) {
    let made = Made::new();
    let ffmpeg = made.script("fake", body);
    let limits = Limits {
        output_bytes: 10_000_000,
        ..soon()
    };
    let said = refused(
        &Decoder {
            ffmpeg,
            limits,
            ..Decoder::default()
        },
        &made.ten_seconds(),
    );
    assert!(said.contains(want), "{said}");
}

#[test]
fn a_decoder_that_hangs_is_ended() {
    check_ends("exec sleep 1000", "took longer than 0.3 s");
}

#[test]
fn a_decoder_that_hangs_with_closed_pipes_is_ended() {
    check_ends("exec >&- 2>&- sleep 1000", "took longer than 0.3 s");
}

#[test]
fn a_probe_that_hangs_is_ended() {
    let made = Made::new();
    let ffprobe = made.script("fake", "exec sleep 1000");
    let said = refused(
        &Decoder {
            ffprobe,
            limits: soon(),
            ..Decoder::default()
        },
        &made.ten_seconds(),
    );
    assert!(said.contains("took longer than 0.3 s"), "{said}");
}

#[test]
fn what_a_decoder_started_ends_with_it() {
    let made = Made::new();
    let pid = made.path("pid");
    let ffmpeg = made.script(
        "fake",
        &format!("sleep 1000 & echo $! > {}; wait", pid.display()),
    );
    refused(
        &Decoder {
            ffmpeg,
            limits: soon(),
            ..Decoder::default()
        },
        &made.ten_seconds(),
    );
    let pid = fs::read_to_string(pid).unwrap();
    // Gone, or waiting for its new parent to notice.
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z"), "{state}");
}

#[test]
fn a_flood_of_messages_is_not_kept() {
    check_ends("yes complaint 1>&2", "took longer than 0.3 s");
}

#[test]
fn a_flood_of_frames_is_cut() {
    check_ends(
        r"while :; do printf 'P6\n1000 1000\n255\n'; head -c 3000000 /dev/zero; done",
        "more than 10000000 bytes",
    );
}

#[test]
fn a_flood_of_bytes_is_no_frame() {
    check_ends("exec cat /dev/zero", "cannot be decoded");
}

#[test]
fn a_decoder_that_fails_is_quoted() {
    check_ends(
        "echo '[h264 @ 0x55aa] out of luck' 1>&2; exit 1",
        "cannot be decoded: [h264] out of luck",
    );
}

#[test]
fn a_decoder_that_is_not_installed() {
    let made = Made::new();
    let decoder = Decoder {
        ffmpeg: "/nowhere/ffmpeg".into(),
        ..Decoder::default()
    };
    let error = decoder
        .video(&made.ten_seconds(), EACH_SECOND, FrameSize::Native)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot start /nowhere/ffmpeg: install ffmpeg, or say where it is"
    );
}

#[test]
fn no_child_outlives_a_call() {
    let made = Made::new();
    let marker = made.script("fake-decoder-of-this-test", "sleep 1000");
    refused(
        &Decoder {
            ffmpeg: marker.clone(),
            limits: soon(),
            ..Decoder::default()
        },
        &made.ten_seconds(),
    );
    let mut running = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
    assert!(
        !running.any(|line| String::from_utf8_lossy(&line).contains(&*marker.to_string_lossy()))
    );
}
