//! Resizing against Pillow and torchvision. Tolerance: none, every byte is equal.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde::Deserialize;
use video::resize::{Flavour, bicubic, bicubic_all};
use video::{Frame, Seconds};

#[derive(Deserialize)]
struct Case {
    picture: String,
    from: (u32, u32),
    to: (u32, u32),
    pillow: String,
    torchvision: String,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("goldens/resize.json")).unwrap()
}

/// The pictures of `fixtures/video_goldens.py`.
fn picture(kind: &str, width: u32, height: u32) -> Frame {
    let noise = |i: u32| {
        let state = i.wrapping_mul(2_654_435_761).wrapping_add(12345);
        ((state ^ (state >> 15)).wrapping_mul(2_246_822_519) >> 24) as u8
    };
    let edges = |i: u32| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        if (x / 3 + y / 2 + c) % 2 == 0 {
            255
        } else {
            ((x * 5 + y * 3) % 8) as u8
        }
    };
    let bytes = 0..width * height * 3;
    let rgb = if kind == "noise" {
        bytes.map(noise).collect()
    } else {
        bytes.map(edges).collect()
    };
    Frame {
        width,
        height,
        rgb,
        seconds: Seconds(0.0),
    }
}

#[track_caller]
fn check(flavour: Flavour, want: impl Fn(&Case) -> &str) {
    let cases = cases();
    assert!(cases.len() > 30);
    for case in &cases {
        let frame = picture(&case.picture, case.from.0, case.from.1);
        let resized = bicubic(&frame, case.to.0, case.to.1, flavour);
        assert_eq!((resized.width, resized.height), case.to);
        assert_eq!(
            resized.sha256(),
            want(case),
            "{} {:?} to {:?}",
            case.picture,
            case.from,
            case.to
        );
    }
}

#[test]
fn every_byte_equals_pillows() {
    check(Flavour::Pillow, |case| &case.pillow);
}

#[test]
fn every_byte_equals_torchvisions() {
    check(Flavour::Torchvision, |case| &case.torchvision);
}

#[test]
fn many_frames_come_out_as_each_alone() {
    let frames = [
        picture("noise", 50, 40),
        picture("edges", 50, 40),
        picture("noise", 9, 9),
    ];
    let alone: Vec<Frame> = frames
        .iter()
        .map(|frame| bicubic(frame, 28, 56, Flavour::Torchvision))
        .collect();
    assert_eq!(bicubic_all(&frames, 28, 56, Flavour::Torchvision), alone);
}
