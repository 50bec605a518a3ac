//! Sampling rules against NumPy and the port in `transformers`.

use proptest::prelude::*;
use video::sampling::{TransformersRule, linspace, on_screen, transformers_indices, uniform_times};
use video::{Sampling, Seconds};

/// As the goldens have it: SHA-256 of the indices as little-endian `u32`s.
fn digest(indices: &[usize]) -> String {
    let bytes: Vec<u8> = indices
        .iter()
        .flat_map(|&index| (index as u32).to_le_bytes())
        .collect();
    video::hash::bytes(&bytes)
}

#[test]
fn a_capped_rate_takes_numpys_indices() {
    let cases: Vec<(usize, usize, String)> =
        serde_json::from_str(include_str!("goldens/linspace.json")).unwrap();
    assert!(cases.len() > 200);
    for (total, count, want) in cases {
        assert_eq!(digest(&linspace(total, count)), want, "{count} of {total}");
    }
}

#[test]
fn the_ports_indices_are_the_ports() {
    type Case = (usize, f64, f64, usize, usize, usize, String);
    let cases: Vec<Case> = serde_json::from_str(include_str!("goldens/transformers.json")).unwrap();
    assert!(cases.len() > 200);
    for (total, video_fps, fps, min_frames, max_frames, count, want) in cases {
        let rule = TransformersRule {
            fps,
            min_frames,
            max_frames,
        };
        let indices = transformers_indices(total, video_fps, rule);
        assert_eq!(indices.len(), count, "{rule:?} of {total} at {video_fps}");
        assert_eq!(digest(&indices), want, "{rule:?} of {total} at {video_fps}");
    }
}

#[test]
fn uniform_moments_are_the_middles_of_equal_parts() {
    let want = [1.0, 3.0, 5.0].map(Seconds);
    assert_eq!(uniform_times(Seconds(6.0), 3), want);
}

#[test]
fn the_frame_on_screen_is_the_last_one_shown() {
    let times = [0.0, 0.5, 2.0].map(Seconds);
    let moments = [0.0, 0.49, 0.5, 1.9, 9.0].map(Seconds);
    assert_eq!(on_screen(&times, &moments), [0, 0, 1, 1, 2]);
}

#[test]
fn before_the_first_frame_the_first_frame_counts() {
    assert_eq!(on_screen(&[Seconds(1.0)], &[Seconds(0.5)]), [0]);
}

#[track_caller]
fn check_refused(json: &str) {
    let sampling: Result<Sampling, _> = serde_json::from_str(json);
    assert!(sampling.is_err(), "{json}");
}

#[test]
fn an_unknown_key_is_refused() {
    check_refused(r#"{"rule": "fps", "fps": 1.0, "max_frames": 8, "start": 2}"#);
}

#[test]
fn an_unknown_rule_is_refused() {
    check_refused(r#"{"rule": "keyframes"}"#);
}

#[test]
fn a_rule_survives_being_written() {
    let rule = Sampling::Fps {
        fps: 0.5,
        max_frames: 90,
    };
    let json = serde_json::to_string(&rule).unwrap();
    assert_eq!(json, r#"{"rule":"fps","fps":0.5,"max_frames":90}"#);
    assert_eq!(serde_json::from_str::<Sampling>(&json).unwrap(), rule);
}

#[test]
fn a_rate_of_zero_is_refused_with_the_remedy() {
    let said = Sampling::Fps {
        fps: 0.0,
        max_frames: 1,
    }
    .checked()
    .unwrap_err()
    .to_string();
    assert_eq!(
        said,
        "fps is 0: more than 0 and at most 1000 frames a second"
    );
}

#[test]
fn no_frames_at_all_cannot_be_asked_for() {
    let said = Sampling::Uniform { frames: 0 }
        .checked()
        .unwrap_err()
        .to_string();
    assert_eq!(said, "frames is 0: 1 or more");
}

proptest! {
    #[test]
    fn the_ports_indices_ascend_and_exist(
        total in 0_usize..100_000,
        video_fps in 0.1_f64..240.0,
        fps in 0.01_f64..240.0,
        max_frames in 0_usize..2000,
    ) {
        let rule = TransformersRule { fps, min_frames: 4, max_frames };
        let indices = transformers_indices(total, video_fps, rule);
        prop_assert!(indices.is_sorted_by(|a, b| a < b));
        prop_assert!(indices.iter().all(|&index| index < total));
        prop_assert!(indices.len() <= max_frames.min(total) + 1);
    }

    #[test]
    fn capped_indices_span_all_frames(total in 2_usize..100_000, share in 0.0_f64..1.0) {
        let count = 2 + ((total - 2) as f64 * share) as usize;
        let indices = linspace(total, count);
        prop_assert_eq!(indices.len(), count);
        prop_assert_eq!((indices[0], indices[count - 1]), (0, total - 1));
        prop_assert!(indices.is_sorted_by(|a, b| a < b));
    }
}
