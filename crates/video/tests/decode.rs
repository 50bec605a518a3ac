//! Which frames come out of honest files, compared with plain ffmpeg command lines.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use video::{Decoder, FrameSize, Limits, Sampling, Seconds};

mod made;
use made::{EACH_SECOND, H264, Made, ffmpeg, native, pixels, plain, times};

#[track_caller]
fn check_like_plain(path: &Path, fps: f64) {
    let clip = native(
        path,
        Sampling::Fps {
            fps,
            max_frames: 1000,
        },
    )
    .unwrap();
    let want = plain(path, &format!("fps=fps={fps}:round=down"));
    assert!(!want.is_empty());
    assert!(
        pixels(&clip) == want,
        "{} at {fps} frames a second",
        path.display()
    );
    let seconds: Vec<f64> = (0..clip.frames.len()).map(|i| i as f64 / fps).collect();
    assert_eq!(times(&clip), seconds);
}

#[test]
fn a_rate_gives_what_ffmpegs_filter_gives() {
    let made = Made::new();
    check_like_plain(&made.ten_seconds(), 1.0);
}

#[test]
fn a_broken_rate_gives_what_ffmpegs_filter_gives() {
    let made = Made::new();
    check_like_plain(&made.ten_seconds(), 0.7);
}

#[test]
fn a_rate_above_the_videos_repeats_frames_as_the_filter_does() {
    let made = Made::new();
    check_like_plain(&made.ten_seconds(), 13.0);
}

#[test]
fn colours_of_hd_are_those_of_ffmpeg() {
    let made = Made::new();
    let tagged = format!("{H264} -colorspace bt709 -color_primaries bt709 -color_trc bt709");
    check_like_plain(
        &made.clip(
            "hd.mp4",
            "testsrc2=size=1280x720:rate=5:duration=2",
            &tagged,
        ),
        1.0,
    );
}

#[test]
fn ten_bit_video_gives_eight_bit_frames() {
    let made = Made::new();
    let deep = "-pix_fmt yuv420p10le -c:v libx264 -preset ultrafast";
    let path = made.clip("deep.mp4", "testsrc2=size=64x48:rate=10:duration=3", deep);
    assert_eq!(
        Decoder::default()
            .probe(&path)
            .unwrap()
            .pixel_format
            .as_deref(),
        Some("yuv420p10le")
    );
    check_like_plain(&path, 1.0);
}

#[test]
fn a_video_that_starts_late_shows_its_first_frame_until_then() {
    let made = Made::new();
    let sound = "-f lavfi -i sine=duration=6 -map 0:v -map 1:a";
    let path = made.clip(
        "late.mkv",
        "testsrc2=size=64x48:rate=10:duration=4",
        &format!("{sound} -vf setpts=PTS+2.1/TB {H264}"),
    );
    check_like_plain(&path, 1.0);
}

#[test]
fn variable_frame_rate_goes_by_time() {
    let made = Made::new();
    let uneven = "-vf select='not(mod(n\\,7))+lt(n\\,20)' -vsync vfr";
    let path = made.clip(
        "vfr.mp4",
        "testsrc2=size=64x48:rate=10:duration=8",
        &format!("{uneven} {H264}"),
    );
    check_like_plain(&path, 2.0);
    let all = native(&path, Sampling::All).unwrap();
    assert!(
        pixels(&all) == plain(&path, "fps=10,mpdecimate=max=0:hi=1:lo=1:frac=0")
            || all.frames.len() == 29
    );
    assert_eq!(times(&all)[19..22], [1.9, 2.1, 2.8]);
}

#[test]
fn a_rotated_video_stands_upright() {
    let made = Made::new();
    let lying = made.ten_seconds();
    let path = made.path("rotated.mp4");
    ffmpeg(
        &format!("-i {} -c copy -metadata:s:v:0 rotate=90", lying.display()),
        &path,
    );
    let probe = Decoder::default().probe(&path).unwrap();
    assert_eq!(
        (probe.width, probe.height, probe.rotation, probe.upright()),
        (64, 48, 270, (48, 64))
    );
    let clip = native(&path, EACH_SECOND).unwrap();
    assert_eq!((clip.frames[0].width, clip.frames[0].height), (48, 64));
    assert!(pixels(&clip) == plain(&path, "fps=fps=1:round=down"));
}

#[test]
fn beyond_the_cap_frames_are_picked_like_numpys_linspace() {
    let made = Made::new();
    let path = made.ten_seconds();
    let clip = native(
        &path,
        Sampling::Fps {
            fps: 2.0,
            max_frames: 7,
        },
    )
    .unwrap();
    assert_eq!(
        times(&clip),
        [0, 3, 6, 9, 12, 15, 19].map(|i| f64::from(i) / 2.0)
    );
    let all = native(
        &path,
        Sampling::Fps {
            fps: 2.0,
            max_frames: 20,
        },
    )
    .unwrap();
    let want: Vec<_> = [0, 3, 6, 9, 12, 15, 19]
        .map(|i: usize| all.frames[i].clone())
        .into();
    assert_eq!(clip.frames, want);
}

#[test]
fn a_false_duration_does_not_change_the_choice() {
    let made = Made::new();
    // Sixty seconds of sound; the file's duration says nothing about the picture's.
    let sound = "-f lavfi -i sine=duration=60 -map 0:v -map 1:a";
    let path = made.clip(
        "false.mkv",
        "testsrc2=size=64x48:rate=10:duration=9",
        &format!("{sound} {H264}"),
    );
    let clip = native(
        &path,
        Sampling::Fps {
            fps: 1.0,
            max_frames: 4,
        },
    )
    .unwrap();
    assert_eq!(times(&clip), [0.0, 2.0, 5.0, 8.0]);
}

#[test]
fn an_unknown_duration_does_not_change_the_choice() {
    let made = Made::new();
    let path = made.clip("raw.h264", "testsrc2=size=64x48:rate=25:duration=9", H264);
    assert_eq!(Decoder::default().probe(&path).unwrap().duration, None);
    let clip = native(
        &path,
        Sampling::Fps {
            fps: 1.0,
            max_frames: 4,
        },
    )
    .unwrap();
    assert_eq!(times(&clip), [0.0, 2.0, 5.0, 8.0]);
}

#[test]
fn a_video_shorter_than_one_interval_gives_its_first_frame() {
    let made = Made::new();
    let path = made.clip(
        "short.mp4",
        "testsrc2=size=64x48:rate=10:duration=0.3",
        H264,
    );
    let clip = native(&path, EACH_SECOND).unwrap();
    assert_eq!(times(&clip), [0.0]);
    assert!(pixels(&clip) == plain(&path, "select=eq(n\\,0)"));
}

#[test]
fn the_ports_rule_counts_frames() {
    let made = Made::new();
    let path = made.ten_seconds();
    let clip = native(
        &path,
        Sampling::Transformers {
            fps: 0.7,
            min_frames: 4,
            max_frames: 180,
        },
    )
    .unwrap();
    let indices = [0, 14, 28, 42, 57, 71, 85];
    assert_eq!(times(&clip), indices.map(|i| f64::from(i) / 10.0));
    let chosen = indices.map(|i| format!("eq(n\\,{i})")).join("+");
    assert!(pixels(&clip) == plain(&path, &format!("select={chosen},setpts=N/10/TB")));
}

#[test]
fn uniform_frames_are_those_on_screen_in_the_middles() {
    let made = Made::new();
    let path = made.ten_seconds();
    let clip = native(&path, Sampling::Uniform { frames: 4 }).unwrap();
    assert_eq!(times(&clip), [1.25, 3.75, 6.25, 8.75]);
    assert!(
        pixels(&clip)
            == plain(
                &path,
                "select=eq(n\\,12)+eq(n\\,37)+eq(n\\,62)+eq(n\\,87),setpts=N/10/TB"
            )
    );
}

#[test]
fn of_few_frames_each_comes_once() {
    let made = Made::new();
    let path = made.clip("few.mp4", "testsrc2=size=64x48:rate=10:duration=0.3", H264);
    let clip = native(&path, Sampling::Uniform { frames: 8 }).unwrap();
    let all = native(&path, Sampling::All).unwrap();
    assert_eq!((clip.frames.len(), pixels(&clip)), (3, pixels(&all)));
}

#[test]
fn all_frames_come_at_their_times() {
    let made = Made::new();
    let path = made.ten_seconds();
    let clip = native(&path, Sampling::All).unwrap();
    assert_eq!(clip.frames.len(), 100);
    assert_eq!(clip.frames[37].seconds, Seconds(3.7));
}

#[test]
fn a_clip_is_named_by_its_files_hash() {
    let made = Made::new();
    let path = made.ten_seconds();
    let clip = native(&path, EACH_SECOND).unwrap();
    assert_eq!(clip.source_sha256, video::hash::file(&path).unwrap());
}

#[test]
fn one_thread_or_many_give_the_same_frames() {
    let made = Made::new();
    let path = made.ten_seconds();
    let limits = Limits {
        threads: 1,
        ..Limits::default()
    };
    let one = Decoder {
        limits,
        ..Decoder::default()
    };
    let clip = one.video(&path, EACH_SECOND, FrameSize::Native).unwrap();
    assert_eq!(clip, native(&path, EACH_SECOND).unwrap());
}

#[test]
fn a_probe_tells_what_the_container_tells() {
    let made = Made::new();
    let probe = Decoder::default().probe(&made.ten_seconds()).unwrap();
    assert_eq!(
        (probe.codec.as_str(), probe.width, probe.height),
        ("h264", 64, 48)
    );
    assert_eq!(
        (probe.average_fps, probe.base_fps),
        (Some(10.0), Some(10.0))
    );
    assert_eq!(
        (probe.duration, probe.frames),
        (Some(Seconds(10.0)), Some(100))
    );
}

/// A thousand frames a second make many frames of a small file.
#[track_caller]
fn check_many(max_frames: usize) {
    let made = Made::new();
    let path = made.clip("tiny.mp4", "testsrc2=size=16x16:rate=10:duration=4", H264);
    let all = native(
        &path,
        Sampling::Fps {
            fps: 1000.0,
            max_frames: 4000,
        },
    )
    .unwrap();
    assert_eq!(all.frames.len(), 4000);
    let some = native(
        &path,
        Sampling::Fps {
            fps: 1000.0,
            max_frames,
        },
    )
    .unwrap();
    let indices = video::sampling::linspace(4000, max_frames);
    let want: Vec<_> = indices.iter().map(|&i| all.frames[i].clone()).collect();
    assert!(some.frames == want);
}

#[test]
fn hundreds_of_frames_can_be_picked() {
    check_many(768);
}

#[test]
fn thousands_of_frames_can_be_picked() {
    check_many(3000);
}
