//! Many files, still images and the cache.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;

use video::pool::{Budget, Job};
use video::{Cache, Decoder, Error, FrameSize, Sampling};

mod made;
use made::{EACH_SECOND, Made, ffmpeg, native, pixels, plain, times};

fn job(path: PathBuf) -> Job {
    Job {
        path,
        sampling: EACH_SECOND,
        size: FrameSize::Native,
    }
}

#[track_caller]
fn check_all(budget: Budget) {
    let made = Made::new();
    let good = made.ten_seconds();
    let bad = made.bytes("bad.mp4", "nothing");
    let jobs = [&good, &bad, &good, &good, &bad, &good].map(|path| job(path.clone()));
    let mut order = Vec::new();
    Decoder::default().decode_all(&jobs, budget, |i, result| {
        assert_eq!(result.is_ok(), jobs[i].path == good);
        order.push(i);
    });
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn results_come_in_order_and_a_bad_file_harms_no_other() {
    check_all(Budget {
        bytes: 1 << 30,
        files: 3,
    });
}

#[test]
fn files_larger_than_the_budget_go_one_by_one() {
    check_all(Budget { bytes: 1, files: 3 });
}

#[test]
fn no_budget_at_all_still_goes_on() {
    check_all(Budget { bytes: 0, files: 0 });
}

#[test]
fn no_jobs_are_no_results() {
    Decoder::default().decode_all(&[], Budget { bytes: 1, files: 4 }, |_, _| {
        panic!("there is no job");
    });
}

#[test]
fn a_panic_in_the_callback_is_passed_on() {
    let made = Made::new();
    let jobs: Vec<Job> = (0..6).map(|_| job(made.ten_seconds())).collect();
    let fall = || {
        Decoder::default().decode_all(&jobs, Budget { bytes: 1, files: 2 }, |_, _| {
            panic!("on purpose");
        });
    };
    assert!(std::panic::catch_unwind(fall).is_err());
}

#[test]
fn an_image_is_a_clip_of_one_frame() {
    let made = Made::new();
    let path = made.clip("one.png", "testsrc2=size=65x49", "-frames:v 1");
    let clip = Decoder::default().image(&path).unwrap();
    assert_eq!(times(&clip), [0.0]);
    assert!(pixels(&clip) == plain(&path, "null"));
    assert_eq!(clip.source_sha256, video::hash::file(&path).unwrap());
}

#[test]
fn an_image_of_another_format_is_read_by_ffmpeg() {
    let made = Made::new();
    let path = made.clip("one.bmp", "testsrc2=size=65x49", "-frames:v 1");
    assert!(pixels(&Decoder::default().image(&path).unwrap()) == plain(&path, "null"));
}

#[test]
fn a_huge_image_is_refused_by_its_header() {
    let made = Made::new();
    let mut png = fs::read(made.clip("one.png", "testsrc2=size=64x48", "-frames:v 1")).unwrap();
    png[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let checksum = crc(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&checksum);
    let path = made.bytes("huge.png", png);
    let error = Decoder::default().image(&path).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Pixels {
                width: 100_000,
                height: 100_000,
                ..
            }
        ),
        "{error}"
    );
    let error = native(&path, EACH_SECOND).unwrap_err();
    assert!(error.to_string().contains("huge.png"), "{error}");
}

/// PNG's checksum.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

#[test]
fn a_broken_image_is_named() {
    let made = Made::new();
    let whole = fs::read(made.clip("one.png", "testsrc2=size=64x48", "-frames:v 1")).unwrap();
    let path = made.bytes("broken.png", &whole[..whole.len() / 2]);
    let error = Decoder::default().image(&path).unwrap_err();
    assert!(
        error.to_string().contains("broken.png cannot be decoded"),
        "{error}"
    );
}

#[test]
fn a_folder_of_images_is_a_video() {
    let made = Made::new();
    ffmpeg(
        "-f lavfi -i testsrc2=size=64x48:rate=4:duration=3",
        &made.path("%02d.png"),
    );
    made.bytes("notes.txt", "not a frame");
    let folder = made.path("");
    let clip = Decoder::default()
        .open(&folder, Sampling::All, 4.0)
        .unwrap();
    assert_eq!(
        times(&clip),
        (0..12).map(|i| f64::from(i) / 4.0).collect::<Vec<_>>()
    );
    let want: Vec<u8> = (1..=12)
        .flat_map(|i| plain(&made.path(&format!("{i:02}.png")), "null"))
        .collect();
    assert!(pixels(&clip) == want);
}

#[test]
fn a_folder_without_images_is_refused() {
    let made = Made::new();
    made.bytes("notes.txt", "not a frame");
    let error = Decoder::default().folder(&made.path(""), 1.0).unwrap_err();
    assert!(error.to_string().ends_with("holds no image"), "{error}");
}

#[test]
fn images_of_two_sizes_are_no_video() {
    let made = Made::new();
    made.clip("a.png", "testsrc2=size=64x48", "-frames:v 1");
    made.clip("b.png", "testsrc2=size=32x48", "-frames:v 1");
    let error = Decoder::default().folder(&made.path(""), 1.0).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("b.png is 32x48, the images before it are 64x48"),
        "{error}"
    );
}

#[test]
fn a_rate_of_zero_is_refused_for_a_folder() {
    assert!(matches!(
        Decoder::default().folder(&Made::new().path(""), 0.0),
        Err(Error::Setting { .. })
    ));
}

/// A decoder with a cache in the folder, and one that has the cache but no ffmpeg.
fn cached(made: &Made) -> (Decoder, Decoder) {
    let with = Decoder {
        cache: Some(Cache::new(made.path("cache"))),
        ..Decoder::default()
    };
    let without = Decoder {
        ffmpeg: "/nowhere".into(),
        ffprobe: "/nowhere".into(),
        ..with.clone()
    };
    (with, without)
}

fn entries(made: &Made) -> Vec<PathBuf> {
    fs::read_dir(made.path("cache"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn a_cached_clip_equals_the_decoded_one_and_needs_no_decoder() {
    let made = Made::new();
    let (decoder, cache_only) = cached(&made);
    let path = made.ten_seconds();
    let fresh = decoder
        .video(&path, EACH_SECOND, FrameSize::Native)
        .unwrap();
    assert_eq!(
        cache_only
            .video(&path, EACH_SECOND, FrameSize::Native)
            .unwrap(),
        fresh
    );
    assert_eq!(native(&path, EACH_SECOND).unwrap(), fresh);
}

#[test]
fn another_rule_size_or_file_is_another_entry() {
    let made = Made::new();
    let (decoder, cache_only) = cached(&made);
    let path = made.ten_seconds();
    decoder
        .video(&path, EACH_SECOND, FrameSize::Native)
        .unwrap();
    cache_only
        .video(&path, Sampling::All, FrameSize::Native)
        .unwrap_err();
    cache_only
        .video(&path, EACH_SECOND, FrameSize::Within { long_edge: 32 })
        .unwrap_err();
    let other = made.clip(
        "other.mp4",
        "testsrc2=size=64x48:rate=10:duration=1",
        made::H264,
    );
    cache_only
        .video(&other, EACH_SECOND, FrameSize::Native)
        .unwrap_err();
}

#[track_caller]
fn check_damage(damage: impl Fn(&mut Vec<u8>)) {
    let made = Made::new();
    let (decoder, cache_only) = cached(&made);
    let path = made.ten_seconds();
    let fresh = decoder
        .video(&path, EACH_SECOND, FrameSize::Native)
        .unwrap();
    let entry = entries(&made).remove(0);
    let mut bytes = fs::read(&entry).unwrap();
    damage(&mut bytes);
    fs::write(&entry, bytes).unwrap();
    cache_only
        .video(&path, EACH_SECOND, FrameSize::Native)
        .unwrap_err();
    assert_eq!(
        decoder
            .video(&path, EACH_SECOND, FrameSize::Native)
            .unwrap(),
        fresh
    );
    assert_eq!(
        cache_only
            .video(&path, EACH_SECOND, FrameSize::Native)
            .unwrap(),
        fresh
    );
}

#[test]
fn a_changed_byte_is_noticed_and_the_entry_made_anew() {
    check_damage(|bytes| bytes[1000] ^= 1);
}

#[test]
fn an_entry_cut_short_is_made_anew() {
    check_damage(|bytes| bytes.truncate(500));
}

#[test]
fn an_empty_entry_is_made_anew() {
    check_damage(Vec::clear);
}

#[test]
fn a_bounded_cache_drops_old_entries() {
    let made = Made::new();
    let cache = Cache {
        most_bytes: Some(100_000),
        ..Cache::new(made.path("cache"))
    };
    let decoder = Decoder {
        cache: Some(cache),
        ..Decoder::default()
    };
    let path = made.ten_seconds();
    for frames in [9, 8, 7, 6] {
        decoder
            .video(&path, Sampling::Uniform { frames }, FrameSize::Native)
            .unwrap();
    }
    let bytes: u64 = entries(&made)
        .iter()
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(bytes <= 100_000 && !entries(&made).is_empty(), "{bytes}");
}
