//! Files that were made to hurt, or just broken: the right frames, or an error that names the file.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use video::{Decoder, Error, FrameSize, Sampling};

mod made;
use made::{EACH_SECOND, H264, Made, native, pixels, plain, said};

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
