//! What comes next is made ready ahead, within bounds, and never otherwise than when asked for.

use std::sync::Arc;

use train::data::Record;
use train::feed::Room;

use crate::films::films;
use crate::{feed, record, said, settings};

/// Of `films` films, `each` records, and a text between them.
fn records(folder: &std::path::Path, films: usize, each: usize) -> Vec<Record> {
    let film = |i: usize| {
        record(
            folder,
            &format!("r{i}"),
            Some(&format!("{}.mp4", i % films)),
        )
    };
    let mut records: Vec<Record> = (0..films * each).map(film).collect();
    records.insert(1, record(folder, "text", None));
    records
}

#[test]
fn examples_are_the_same_whatever_is_planned_and_however_many_threads_make_them() {
    let folder = films(4);
    let records = records(folder.path(), 4, 2);
    let alone = feed(&records, settings(0, 1));
    let want: Vec<_> = (0..records.len())
        .map(|i| said(&alone.example(i).unwrap()))
        .collect();
    for order in [[0, 1, 2, 3, 4, 5, 6, 7, 8], [8, 3, 1, 0, 7, 2, 5, 4, 6]] {
        let feed = feed(&records, settings(3, 2));
        feed.ahead(&order);
        for i in order {
            assert_eq!(said(&feed.example(i).unwrap()), want[i]);
        }
        // Nobody said that these would come.
        for i in [7, 0, 1] {
            assert_eq!(said(&feed.example(i).unwrap()), want[i]);
        }
    }
}

#[test]
fn several_callers_get_what_they_ask_for() {
    let folder = films(3);
    let records = records(folder.path(), 3, 2);
    let feed = feed(&records, settings(2, 2));
    let all: Vec<usize> = (0..records.len()).collect();
    feed.ahead(&all);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for (i, record) in records.iter().enumerate() {
                    assert_eq!(feed.example(i).unwrap().id, record.id);
                }
            });
        }
    });
}

#[test]
fn no_more_media_are_in_memory_than_there_is_room_for() {
    let folder = films(8);
    let records = records(folder.path(), 8, 1);
    let feed = feed(&records, settings(3, 3));
    let all: Vec<usize> = (0..records.len()).collect();
    feed.ahead(&all);
    let mut held = Vec::new();
    for i in all {
        // The caller keeps the last two examples, which count.
        held.push(feed.example(i).unwrap());
        if held.len() > 2 {
            held.remove(0);
        }
    }
    let counts = feed.counts();
    assert_eq!(counts.decoded, 8);
    assert!((1..=3).contains(&counts.most_media), "{counts:?}");
}

#[test]
fn no_more_bytes_are_in_memory_than_there_is_room_for() {
    let folder = films(6);
    let records = records(folder.path(), 6, 1);
    let mut settings = settings(3, usize::MAX);
    // The largest alone needs less than 400 kB of frames and patches.
    settings.room = Room {
        media: 100,
        bytes: 800_000,
    };
    let feed = feed(&records, settings);
    let all: Vec<usize> = (0..records.len()).collect();
    feed.ahead(&all);
    for i in all {
        feed.example(i).unwrap();
    }
    let most = feed.counts().most_bytes;
    assert!((1..=800_000).contains(&most), "{most}");
}

#[test]
fn records_about_one_video_share_it_and_decode_it_once() {
    let folder = films(1);
    let records = records(folder.path(), 1, 4);
    let feed = feed(&records, settings(2, 4));
    feed.ahead(&[0, 1, 2, 3, 4]);
    for i in 0..5 {
        feed.example(i).unwrap();
    }
    assert_eq!(feed.counts().decoded, 1);
    let kept = feed.example(0).unwrap();
    feed.ahead(&[]);
    let again = feed.example(2).unwrap();
    assert!(Arc::strong_count(&kept) == 1 && kept.media.len() == again.media.len());
    assert_eq!(feed.counts().decoded, 2);
}

#[test]
fn a_file_that_is_no_video_is_known_before_anything_is_decoded() {
    let folder = films(2);
    std::fs::write(folder.path().join("0.mp4"), b"no video").unwrap();
    let mut records = records(folder.path(), 2, 1);
    records.push(record(folder.path(), "lost", Some("lost.mp4")));
    let feed = feed(&records, settings(1, 2));
    let said: Vec<String> = feed
        .unusable()
        .map(|unusable| format!("{} {} {}", unusable.index, unusable.id, unusable.reason))
        .collect();
    assert_eq!(said.len(), 2);
    assert!(
        said[0].starts_with("0 r0 ") && said[0].contains("0.mp4"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("3 lost ") && said[1].contains("lost.mp4"),
        "{said:?}"
    );
    assert_eq!(feed.length(0), None);
    feed.ahead(&[0, 2, 3]);
    assert_eq!(feed.example(2).unwrap().id, "r1");
    let error = feed.example(0).unwrap_err().to_string();
    assert!(
        error.contains("record r0") && error.contains("0.mp4"),
        "{error}"
    );
}

#[test]
fn a_video_that_goes_away_in_the_middle_stops_nobody_else() {
    let folder = films(3);
    let records = records(folder.path(), 3, 1);
    let feed = feed(&records, settings(1, 1));
    assert_eq!(feed.unusable().count(), 0);
    std::fs::remove_file(folder.path().join("1.mp4")).unwrap();
    feed.ahead(&[0, 1, 2, 3]);
    for i in [0, 1, 3] {
        feed.example(i).unwrap();
    }
    for _ in 0..2 {
        let error = feed.example(2).unwrap_err().to_string();
        assert!(
            error.contains("record r1") && error.contains("1.mp4"),
            "{error}"
        );
    }
}

#[test]
fn a_feed_that_nobody_asks_ends() {
    let folder = films(3);
    let records = records(folder.path(), 3, 1);
    let feed = feed(&records, settings(2, 1));
    feed.ahead(&[0, 2, 3]);
    drop(feed);
}
