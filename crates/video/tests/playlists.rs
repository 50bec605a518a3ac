//! Files that are no videos but lists of other files: none of those may be opened.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use video::{Decoder, Error};

mod made;
use made::{EACH_SECOND, Made, ffmpeg, native, said};

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
