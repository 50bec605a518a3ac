//! What a model learns from: one JSON object a line.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use safety::{Labels, Subset};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::At;

/// A longer line is refused unread.
const LINE_BYTES: usize = 1 << 20;
/// As many bad lines are said in full.
const SAID: usize = 5;

/// A question, perhaps about a video, and the answer to learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Unique in the file.
    pub id: String,
    /// The part of the benchmark that it is like, where it is like one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
    /// A video or image; in the file relative to its folder, once read with that folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<PathBuf>,
    /// What the user says.
    pub query: String,
    /// What the model should say.
    pub answer: String,
    /// What the model is told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Whether video and query are harmful, where that is known.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub labels: Labels,
}

fn is_unknown(labels: &Labels) -> bool {
    *labels == Labels::default()
}

/// All records of a JSONL file in its order; empty lines are nothing. If any line is bad, an error
/// that says which lines and why.
pub fn read(path: &Path) -> Result<Vec<Record>, Error> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut file = BufReader::new(std::fs::File::open(path).at("open", path)?);
    let mut records: Vec<Record> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut bad = Vec::new();
    for number in 1.. {
        let line = match next_line(&mut file).at("read", path)? {
            Line::End => break,
            Line::Text(line) if line.trim_ascii().is_empty() => continue,
            Line::Text(line) => line,
            Line::TooLong => {
                bad.push(format!("line {number}: is longer than {LINE_BYTES} bytes"));
                continue;
            }
        };
        let record = parse(&line, folder).and_then(|record| {
            match places.insert(record.id.clone(), number) {
                Some(first) => Err(format!("id `{}` is that of line {first}", record.id)),
                None => Ok(record),
            }
        });
        match record {
            Ok(record) => records.push(record),
            Err(reason) => bad.push(format!("line {number}: {reason}")),
        }
    }
    if bad.is_empty() {
        return Ok(records);
    }
    let more = if bad.len() > SAID { "; …" } else { "" };
    let first = format!("{}{more}", bad[..bad.len().min(SAID)].join("; "));
    Err(Error::BadLines {
        path: path.to_owned(),
        count: bad.len(),
        first,
    })
}

enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

fn next_line(file: &mut impl BufRead) -> std::io::Result<Line> {
    let mut line = Vec::new();
    let read = file
        .by_ref()
        .take(LINE_BYTES as u64 + 1)
        .read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(Line::End);
    }
    if line.len() > LINE_BYTES && !line.ends_with(b"\n") {
        file.skip_until(b'\n')?;
        return Ok(Line::TooLong);
    }
    Ok(Line::Text(line))
}

fn parse(line: &[u8], folder: &Path) -> Result<Record, String> {
    let mut record: Record = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    for (key, text) in [
        ("id", &record.id),
        ("query", &record.query),
        ("answer", &record.answer),
    ] {
        if text.trim().is_empty() {
            return Err(format!("`{key}` is empty"));
        }
    }
    if let Some(video) = &mut record.video {
        let inside = video
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside || video.as_os_str().is_empty() {
            return Err(format!(
                "video `{}` is not a path below the file's folder",
                video.display()
            ));
        }
        *video = folder.join(&*video);
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<Vec<Record>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.jsonl");
        std::fs::write(&path, text).unwrap();
        let mut records = read(&path)?;
        for record in &mut records {
            let video = record.video.take();
            record.video = video.map(|video| video.strip_prefix(folder.path()).unwrap().to_owned());
        }
        Ok(records)
    }

    fn record(id: &str) -> Record {
        Record {
            id: id.into(),
            subset: None,
            video: None,
            query: "What moves?".into(),
            answer: "A square.".into(),
            system: None,
            labels: Labels::default(),
        }
    }

    #[track_caller]
    fn refused(text: &[u8], words: &[&str]) {
        let error = read_text(text).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{error:?} lacks {word:?}");
        }
    }

    fn line(record: &Record) -> String {
        serde_json::to_string(record).unwrap() + "\n"
    }

    #[test]
    fn records_survive_writing_and_reading() {
        let full = Record {
            video: Some("videos/a.mp4".into()),
            subset: Some(Subset::SH),
            system: Some("Be brief.".into()),
            labels: serde_json::from_str(r#"{"visual": 1, "textual": 0}"#).unwrap(),
            ..record("b")
        };
        let text = line(&record("a")) + "\n" + &line(&full);
        assert_eq!(read_text(text.as_bytes()).unwrap(), [record("a"), full]);
    }

    #[test]
    fn the_last_line_needs_no_newline() {
        let text = line(&record("a"));
        assert_eq!(read_text(text.trim_end().as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn bad_lines_are_named_by_number_with_the_good_ones_counted() {
        let text = line(&record("a")) + "{\n" + &line(&record("b")) + "[]\n";
        refused(text.as_bytes(), &["2 bad lines", "line 2:", "line 4:"]);
    }

    #[test]
    fn an_unknown_field_is_named() {
        refused(
            br#"{"id": "a", "query": "q", "answer": "b", "anser": "c"}"#,
            &["line 1", "anser"],
        );
    }

    #[test]
    fn an_id_that_was_there_before_is_refused() {
        refused(
            line(&record("a")).repeat(2).as_bytes(),
            &["line 2", "`a`", "line 1"],
        );
    }

    #[test]
    fn an_answer_of_nothing_is_refused() {
        let empty = Record {
            answer: " ".into(),
            ..record("a")
        };
        refused(line(&empty).as_bytes(), &["`answer` is empty"]);
    }

    #[test]
    fn a_video_above_the_folder_is_refused() {
        for video in ["../a.mp4", "/etc/passwd", "a/../../b.mp4", ""] {
            let outside = Record {
                video: Some(video.into()),
                ..record("a")
            };
            refused(line(&outside).as_bytes(), &["line 1", video]);
        }
    }

    #[test]
    fn a_line_without_end_is_refused_and_the_next_one_read() {
        let mut text = vec![b'x'; LINE_BYTES + 10];
        text.extend(format!("\n{}{{", line(&record("a"))).bytes());
        refused(&text, &["2 bad lines", "line 1: is longer", "line 3:"]);
    }

    #[test]
    fn a_line_of_the_largest_length_is_read() {
        let mut text = line(&record("a")).into_bytes();
        text.pop();
        text.resize(LINE_BYTES, b' ');
        text.push(b'\n');
        assert_eq!(read_text(&text).unwrap().len(), 1);
    }

    #[test]
    fn bytes_that_are_not_text_are_a_bad_line() {
        refused(b"\xff\xfe\n", &["line 1"]);
    }

    #[test]
    fn a_label_that_is_neither_safe_nor_harmful_is_refused() {
        refused(
            br#"{"id": "a", "query": "q", "answer": "b", "labels": {"visual": 2}}"#,
            &["line 1", "2"],
        );
    }
}
