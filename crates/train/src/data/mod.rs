//! What a model learns from: one JSON object a line.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::Error;
use crate::error::At;

pub mod check;
pub mod convert;
mod elements;
pub mod mix;
mod official;
mod places;
mod record;
mod write;

pub use record::{Medium, Record, Task, Turn};

use elements::{Elements, Text};
use places::is_inside;

/// As many bad lines are said in full.
const SAID: usize = 5;

/// All records of a JSONL file in its order; empty lines are nothing. If any line is bad, an error
/// that says which lines and why.
pub fn read(path: &Path) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    let mut bad = Bad::of(path);
    for line in lines(path)? {
        let Line { number, record } = line?;
        match record {
            Ok(record) => records.push(record),
            Err(reason) => bad.push(format!("line {number}: {reason}")),
        }
    }
    bad.none()?;
    Ok(records)
}

/// One line of a file of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// What it says, or why it says nothing.
    pub record: Result<Record, String>,
}

/// The lines of a JSONL file one by one, in memory that does not grow with the records' length;
/// empty ones are left out. An error, after which nothing follows, is one of reading.
pub fn lines(path: &Path) -> Result<impl Iterator<Item = Result<Line, Error>>, Error> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut elements = Elements::lines(BufReader::new(File::open(path).at("open", path)?));
    let mut places: HashMap<String, usize> = HashMap::new();
    let path = path.to_owned();
    Ok(std::iter::from_fn(move || {
        let element = match elements.next().at("read", &path) {
            Ok(element) => element?,
            Err(error) => return Some(Err(error)),
        };
        let number = element.line;
        let record = match element.text {
            Text::Whole(text) => parse(&text, &folder),
            Text::Bad(reason) => Err(reason),
        };
        let record = record.and_then(|record| match places.get(&record.id) {
            Some(first) => Err(format!("id `{}` is that of line {first}", record.id)),
            None => {
                places.insert(record.id.clone(), number);
                Ok(record)
            }
        });
        Some(Ok(Line { number, record }))
    }))
}

/// Bad lines of one file.
struct Bad<'a> {
    path: &'a Path,
    count: usize,
    said: Vec<String>,
}

impl<'a> Bad<'a> {
    fn of(path: &'a Path) -> Self {
        Self {
            path,
            count: 0,
            said: Vec::new(),
        }
    }

    fn push(&mut self, line: String) {
        self.count += 1;
        if self.said.len() < SAID {
            self.said.push(line);
        }
    }

    fn none(self) -> Result<(), Error> {
        if self.count == 0 {
            return Ok(());
        }
        let more = if self.count > SAID { "; …" } else { "" };
        Err(Error::BadLines {
            path: self.path.to_owned(),
            count: self.count,
            first: self.said.join("; ") + more,
        })
    }
}

fn parse(line: &[u8], folder: &Path) -> Result<Record, String> {
    let mut record: Record = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    check_record(&record)?;
    if let Some(path) = record.path_mut() {
        if !is_inside(path) {
            return Err(format!(
                "video or image `{}` is not a path below the file's folder",
                path.display()
            ));
        }
        *path = folder.join(&*path);
    }
    Ok(record)
}

/// What holds for every record, wherever it comes from.
fn check_record(record: &Record) -> Result<(), String> {
    let first = [
        ("id", &record.id),
        ("query", &record.query),
        ("answer", &record.answer),
    ];
    let turns = record
        .turns
        .iter()
        .flat_map(|turn| [("turns.query", &turn.query), ("turns.answer", &turn.answer)]);
    let rejected = record.rejected.iter().map(|text| ("rejected", text));
    for (key, text) in first.into_iter().chain(turns).chain(rejected) {
        if text.trim().is_empty() {
            return Err(format!("`{key}` is empty"));
        }
    }
    if record.video.is_some() && record.image.is_some() {
        return Err("has both `video` and `image`: keep one".to_owned());
    }
    if !record.options.is_empty() && record.task != Task::MultipleChoice {
        return Err("has `options`, but `task` is not `multiple_choice`".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use safety::Subset;

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
            query: "What moves?".into(),
            answer: "A square.".into(),
            ..Record::default()
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
            task: Task::MultipleChoice,
            options: vec!["A. a square".into(), "B. a circle".into()],
            rejected: Some("A circle.".into()),
            turns: vec![Turn {
                query: "And then?".into(),
                answer: "It stops.".into(),
            }],
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
        let mut text = vec![b'x'; elements::MOST_BYTES + 10];
        text.extend(format!("\n{}{{", line(&record("a"))).bytes());
        refused(&text, &["2 bad lines", "line 1: is longer", "line 3:"]);
    }

    #[test]
    fn a_line_of_the_largest_length_is_read() {
        let mut text = line(&record("a")).into_bytes();
        text.pop();
        text.resize(elements::MOST_BYTES, b' ');
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

    #[test]
    fn what_has_its_default_is_not_written() {
        assert_eq!(
            line(&record("a")),
            "{\"id\":\"a\",\"query\":\"What moves?\",\"answer\":\"A square.\"}\n"
        );
    }

    #[test]
    fn the_wire_name_of_a_task_is_its_name() {
        for task in Task::ALL {
            let name = serde_json::to_value(task).unwrap();
            assert_eq!(name, task.name());
        }
    }

    #[test]
    fn a_video_and_an_image_are_one_too_many() {
        refused(
            br#"{"id": "a", "query": "q", "answer": "b", "video": "v.mp4", "image": "i.png"}"#,
            &["line 1", "`video`", "`image`"],
        );
    }

    #[test]
    fn options_belong_to_a_choice() {
        refused(
            br#"{"id": "a", "query": "q", "answer": "b", "options": ["A", "B"]}"#,
            &["line 1", "`options`", "multiple_choice"],
        );
    }
}
