//! How large decoded frames are.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use video::{Decoder, FrameSize, Sampling};

mod made;
use made::{EACH_SECOND, H264, Made, native, times};

#[track_caller]
fn check_size(size: FrameSize, want: (u32, u32)) {
    let made = Made::new();
    let clip = Decoder::default()
        .video(&made.ten_seconds(), EACH_SECOND, size)
        .unwrap();
    assert!(
        clip.frames
            .iter()
            .all(|frame| (frame.width, frame.height) == want),
        "{size:?}"
    );
}

#[test]
fn frames_are_scaled_to_an_exact_size() {
    check_size(
        FrameSize::Exact {
            width: 30,
            height: 20,
        },
        (30, 20),
    );
}

#[test]
fn frames_are_scaled_within_a_long_edge() {
    check_size(FrameSize::Within { long_edge: 32 }, (32, 24));
}

#[test]
fn frames_are_never_enlarged_to_a_long_edge() {
    check_size(FrameSize::Within { long_edge: 448 }, (64, 48));
}

#[test]
fn a_size_that_changes_midway_is_brought_to_the_first() {
    let made = Made::new();
    let options = format!("{H264} -f mpegts");
    let first = made.clip(
        "first.ts",
        "testsrc2=size=64x48:rate=10:duration=2",
        &options,
    );
    let second = made.clip(
        "second.ts",
        "testsrc2=size=96x96:rate=10:duration=2",
        &format!("-output_ts_offset 2 {options}"),
    );
    let joined = [
        std::fs::read(first).unwrap(),
        std::fs::read(second).unwrap(),
    ]
    .concat();
    let clip = native(
        &made.bytes("joined.ts", joined),
        Sampling::Fps {
            fps: 2.0,
            max_frames: 90,
        },
    )
    .unwrap();
    assert!(clip.frames.len() >= 6, "{:?}", times(&clip));
    assert!(
        clip.frames
            .iter()
            .all(|frame| (frame.width, frame.height) == (64, 48))
    );
}
