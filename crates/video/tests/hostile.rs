//! Files that were made to hurt, or just broken: the right frames, or an error that names the file.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use video::{Decoder, Error, FrameSize, Limits, Sampling};

mod made;
use made::{EACH_SECOND, H264, Made, ffmpeg, native, pixels, plain, said};

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
fn check(path: &Path, want: &str) {
    let said = refused(&Decoder::default(), path);
    assert!(said.contains(want), "{said}");
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
fn a_missing_file() {
    check(
        Path::new("/nowhere/clip.mp4"),
        "cannot read /nowhere/clip.mp4: No such file",
    );
}

#[test]
fn an_empty_file() {
    check(&Made::new().bytes("empty.mp4", ""), "is empty");
}

#[test]
fn a_folder() {
    let made = Made::new();
    check(
        made.path("").parent().unwrap(),
        "is a folder, not a regular file",
    );
}

#[test]
fn a_device() {
    check(Path::new("/dev/zero"), "is a device, not a regular file");
}

#[test]
fn a_named_pipe() {
    let made = Made::new();
    let path = made.path("pipe.mp4");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    check(&path, "is a named pipe, not a regular file");
}

#[test]
fn a_link_to_a_device() {
    let made = Made::new();
    let path = made.path("link.mp4");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    check(&path, "is a device, not a regular file");
}

#[test]
fn a_link_to_a_video_is_followed() {
    let made = Made::new();
    let path = made.path("link.mp4");
    std::os::unix::fs::symlink(made.ten_seconds(), &path).unwrap();
    assert_eq!(native(&path, EACH_SECOND).unwrap().frames.len(), 10);
}

#[test]
fn an_address_is_only_a_missing_file() {
    check(Path::new("http://127.0.0.1/clip.mp4"), "No such file");
}

#[test]
fn text_with_the_name_of_a_video() {
    check(
        &Made::new().bytes("text.mp4", "once upon a time ".repeat(1000)),
        "cannot be decoded: ",
    );
}

#[test]
fn sound_only() {
    let made = Made::new();
    check(
        &made.clip("sound.mp4", "sine=duration=2", ""),
        "has no video stream",
    );
}

#[test]
fn sound_with_a_cover_picture() {
    let made = Made::new();
    let cover = made.clip("cover.png", "testsrc2=size=64x48", "-frames:v 1");
    let path = made.clip(
        "cover.mp3",
        "sine=duration=1",
        &format!(
            "-i {} -map 0 -map 1 -c:v png -disposition:v attached_pic",
            cover.display()
        ),
    );
    check(&path, "has no video stream");
}

#[test]
fn a_video_stream_without_a_frame() {
    let made = Made::new();
    let source = "testsrc2=size=64x48:rate=10:duration=1";
    let sound = "-f lavfi -i sine=duration=2 -map 0:v -map 1:a -vf select=0";
    let path = made.clip("none.mkv", source, &format!("{sound} {H264}"));
    for sampling in [EACH_SECOND, Sampling::All, Sampling::Uniform { frames: 4 }] {
        let error = native(&path, sampling).unwrap_err();
        assert!(
            matches!(error, Error::NoFrames { .. } | Error::Decode { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("none.mkv"), "{error}");
    }
}

#[test]
fn an_index_that_was_cut_off() {
    let made = Made::new();
    let whole = fs::read(made.ten_seconds()).unwrap();
    check(
        &made.bytes("cut.mp4", &whole[..whole.len() / 2]),
        "moov atom not found",
    );
}

#[test]
fn a_video_that_was_cut_off_gives_the_frames_before_the_cut() {
    let made = Made::new();
    let path = made.clip(
        "whole.mkv",
        "testsrc2=size=64x48:rate=10:duration=10",
        &format!("{H264} -g 10"),
    );
    let whole = fs::read(path).unwrap();
    let path = made.bytes("cut.mkv", &whole[..whole.len() / 2]);
    for sampling in [
        EACH_SECOND,
        Sampling::All,
        Sampling::Transformers {
            fps: 1.0,
            min_frames: 4,
            max_frames: 180,
        },
    ] {
        let clip = native(&path, sampling).unwrap();
        assert!(
            clip.frames.len() >= 4,
            "{sampling:?} gives {}",
            clip.frames.len()
        );
        assert!(clip.frames.last().unwrap().seconds.0 < 8.0);
    }
    assert!(pixels(&native(&path, EACH_SECOND).unwrap()) == plain(&path, "fps=fps=1:round=down"));
}

#[test]
fn garbage_in_the_middle_does_not_stop_the_rest() {
    let made = Made::new();
    let mut bytes = fs::read(made.clip(
        "whole.ts",
        "testsrc2=size=64x48:rate=10:duration=10",
        &format!("{H264} -g 10"),
    ))
    .unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0x5a);
    let path = made.bytes("dirty.ts", bytes);
    for sampling in [EACH_SECOND, Sampling::Uniform { frames: 5 }, Sampling::All] {
        assert!(
            native(&path, sampling).unwrap().frames.len() >= 5,
            "{sampling:?}"
        );
    }
}

#[test]
fn a_wrong_name_does_not_matter() {
    let made = Made::new();
    let path = made.path("film.txt");
    fs::rename(made.ten_seconds(), &path).unwrap();
    assert_eq!(native(&path, EACH_SECOND).unwrap().frames.len(), 10);
}

#[test]
fn a_name_that_looks_like_an_option_or_a_pattern() {
    let made = Made::new();
    for name in [
        "-y",
        "%03d.mp4",
        "a:b.mp4",
        "concat:x|y.mp4",
        "with 'quotes'\n.mp4",
        "*?.mp4",
    ] {
        let path = made.path(name);
        fs::copy(made.ten_seconds(), &path).unwrap();
        assert_eq!(
            native(&path, EACH_SECOND).unwrap().frames.len(),
            10,
            "{name:?}"
        );
    }
}

#[test]
fn a_name_that_is_not_utf8() {
    let made = Made::new();
    let path = made.path("").join(OsStr::from_bytes(b"clip\xff.mp4"));
    fs::copy(made.ten_seconds(), &path).unwrap();
    assert_eq!(native(&path, EACH_SECOND).unwrap().frames.len(), 10);
}

#[test]
fn frames_of_no_size() {
    let made = Made::new();
    let path = patched_avi(&made, 0, 0);
    let error = native(&path, EACH_SECOND).unwrap_err();
    assert!(said(&error).contains("patched.avi"), "{error}");
}

#[test]
fn frames_of_a_hundred_thousand_pixels_a_side() {
    let made = Made::new();
    let path = patched_avi(&made, 100_000, 100_000);
    let error = native(&path, EACH_SECOND).unwrap_err();
    assert!(said(&error).contains("patched.avi"), "{error}");
}

/// An uncompressed video whose header tells another size.
fn patched_avi(made: &Made, width: u32, height: u32) -> PathBuf {
    let path = made.clip(
        "whole.avi",
        "testsrc2=size=64x48:rate=10:duration=1",
        "-c:v rawvideo -pix_fmt bgr24",
    );
    let mut bytes = fs::read(path).unwrap();
    let header = bytes.windows(4).position(|four| four == b"strf").unwrap();
    bytes[header + 12..header + 16].copy_from_slice(&width.to_le_bytes());
    bytes[header + 16..header + 20].copy_from_slice(&height.to_le_bytes());
    made.bytes("patched.avi", bytes)
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

/// Each of these makes a plain ffmpeg open the other file.
#[track_caller]
fn check_playlist(name: &str, playlist: impl Fn(&Path) -> String) {
    let made = Made::new();
    for victim in [made.ten_seconds(), "/etc/passwd".into()] {
        let path = made.bytes(name, playlist(&victim));
        let error = native(&path, EACH_SECOND).unwrap_err();
        let said = said(&error);
        assert!(
            matches!(error, Error::Decode { .. }) && said.contains(name),
            "{said}"
        );
        assert!(!said.contains("root:"), "{said}");
        Decoder::default().probe(&path).unwrap_err();
        Decoder::default().image(&path).unwrap_err();
    }
}

#[test]
fn a_list_for_concatenation() {
    check_playlist("list.mp4", |victim| {
        format!("ffconcat version 1.0\nfile '{}'\n", victim.display())
    });
}

#[test]
fn a_streaming_playlist() {
    check_playlist("live.mp4", |victim| {
        format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
            victim.display()
        )
    });
}

#[test]
fn a_session_description() {
    check_playlist("session.mp4", |_| {
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n".into()
    });
}

#[test]
fn a_manifest() {
    check_playlist("dash.mp4", |victim| {
        format!(
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT10S\"><Period>\
             <AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>{}</BaseURL></Representation>\
             </AdaptationSet></Period></MPD>",
            victim.display()
        )
    });
}

#[test]
fn a_drawing_that_includes_a_file() {
    check_playlist("drawing.mp4", |victim| {
        format!(
            "<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"48\"><image href=\"{}\"/></svg>",
            victim.display()
        )
    });
}

#[test]
fn the_playlists_above_do_work_on_a_plain_command_line() {
    let made = Made::new();
    let victim = made.ten_seconds();
    let list = made.bytes(
        "list.mp4",
        format!(
            "ffconcat version 1.0\nfile '{}'\n",
            victim.file_name().unwrap().to_string_lossy()
        ),
    );
    ffmpeg(&format!("-i {}", list.display()), &made.path("stolen.mkv"));
    assert!(fs::metadata(made.path("stolen.mkv")).unwrap().len() > 0);
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

#[test]
fn a_file_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let made = Made::new();
    let path = made.ten_seconds();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything.
    match fs::File::open(&path) {
        Ok(_) => assert_eq!(native(&path, EACH_SECOND).unwrap().frames.len(), 10),
        Err(_) => check(&path, "Permission denied"),
    }
}
