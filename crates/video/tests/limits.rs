//! Nothing costs more than it may: files that are too large, decoders that never end.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

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

/// A decoder for files that it never comes to the end of.
fn impatient() -> Decoder {
    let limits = Limits {
        deadline: Duration::from_secs(1),
        ..Limits::default()
    };
    Decoder {
        limits,
        ..Decoder::default()
    }
}

#[track_caller]
fn check_hangs(body: &str) {
    let made = Made::new();
    let program = made.script("fake", body);
    let path = made.ten_seconds();
    for decoder in [
        Decoder {
            ffprobe: program.clone(),
            ..impatient()
        },
        Decoder {
            ffmpeg: program.clone(),
            ..impatient()
        },
    ] {
        let said = refused(&decoder, &path);
        assert!(said.contains("took longer than 1 s"), "{said}");
    }
}

#[test]
fn a_program_that_hangs_is_ended() {
    check_hangs("exec sleep 1000");
}

#[test]
fn a_program_that_hangs_with_closed_pipes_is_ended() {
    check_hangs("exec >&- 2>&- sleep 1000");
}

#[test]
fn a_flood_of_messages_is_not_kept() {
    check_hangs("exec yes complaint 1>&2");
}

#[test]
fn what_a_program_started_ends_with_it() {
    let made = Made::new();
    let pid = made.path("pid");
    let body = format!("sleep 1000 & echo $! > {}; wait", pid.display());
    let decoder = Decoder {
        ffprobe: made.script("fake", &body),
        ..impatient()
    };
    refused(&decoder, &made.ten_seconds());
    let pid = fs::read_to_string(pid).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    // Killed at once, but the system may take a moment; unkilled it would take a thousand seconds.
    let patience = Instant::now() + Duration::from_secs(60);
    while !state().is_empty() && !state().contains(") Z") {
        assert!(Instant::now() < patience, "{}", state());
        std::thread::yield_now();
    }
}

#[test]
fn no_child_outlives_a_call() {
    let made = Made::new();
    let pid = made.path("pid");
    let body = format!("echo $$ > {}; exec sleep 1000", pid.display());
    let decoder = Decoder {
        ffprobe: made.script("fake", &body),
        ..impatient()
    };
    refused(&decoder, &made.ten_seconds());
    let pid = fs::read_to_string(pid).unwrap();
    // Reaped: not even a zombie is left.
    let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).ok();
    assert!(!line.is_some_and(|line| line.is_empty() || line.contains("sleep")));
}

#[track_caller]
fn check_ends(body: &str, want: &str) {
    let made = Made::new();
    let limits = Limits {
        output_bytes: 10_000_000,
        ..Limits::default()
    };
    let decoder = Decoder {
        ffmpeg: made.script("fake", body),
        limits,
        ..Decoder::default()
    };
    let said = refused(&decoder, &made.ten_seconds());
    assert!(said.contains(want), "{said}");
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
