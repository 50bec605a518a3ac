//! What a model learns from: one JSON object a line.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use model::message::{Message, Role};
use safety::{Labels, Subset};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::At;

mod elements;

use elements::{Elements, Text};

/// As many bad lines are said in full.
const SAID: usize = 5;

/// A question, perhaps about a video or an image, and the answer to learn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Unique in the file.
    pub id: String,
    /// The part of the benchmark that it is like, where it is like one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
    /// What a good answer is judged by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub task: Task,
    /// A video; in the file relative to its folder, once read with that folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<PathBuf>,
    /// A still image, likewise; not beside a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// What the user says.
    pub query: String,
    /// What can be chosen from, as in `A. a cat`; only of [`Task::MultipleChoice`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// What the model should say.
    pub answer: String,
    /// What the model should rather not say: the other half of a preference pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// How the conversation goes on after `answer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// What the model is told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Whether video and query are harmful, where that is known.
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: Labels,
}

/// One more question and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What the user says.
    pub query: String,
    /// What the model should say.
    pub answer: String,
}

/// How an answer is judged; the kinds of the official reinforcement data.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// By its safety: the four tags.
    #[default]
    Safety,
    /// By its likeness to the reference.
    FreeForm,
    /// By the letter chosen.
    MultipleChoice,
    /// By the number.
    Numerical,
    /// By the words read off the picture.
    Ocr,
    /// By the distance to the number.
    Regression,
}

impl Task {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 6] = [
        Self::Safety,
        Self::FreeForm,
        Self::MultipleChoice,
        Self::Numerical,
        Self::Ocr,
        Self::Regression,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::FreeForm => "free_form",
            Self::MultipleChoice => "multiple_choice",
            Self::Numerical => "numerical",
            Self::Ocr => "ocr",
            Self::Regression => "regression",
        }
    }
}

/// A video or an image of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Medium {
    /// Frames over time.
    Video(PathBuf),
    /// One frame.
    Image(PathBuf),
}

impl Medium {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Video(path) | Self::Image(path) => path,
        }
    }
}

impl Record {
    /// The whole conversation to learn from; what it shows is medium 0, shown with the first question.
    pub fn messages(&self) -> Vec<Message> {
        let mut messages = self.prompt();
        messages.push(Message::text(Role::Assistant, self.answer.as_str()));
        for turn in &self.turns {
            messages.push(Message::text(Role::User, turn.query.as_str()));
            messages.push(Message::text(Role::Assistant, turn.answer.as_str()));
        }
        messages
    }

    /// The conversation up to the first answer.
    pub fn prompt(&self) -> Vec<Message> {
        let system = self.system.as_deref();
        let system = system.map(|words| Message::text(Role::System, words));
        let question = match self.medium() {
            Some(_) => Message::about(0, self.query.as_str()),
            None => Message::text(Role::User, self.query.as_str()),
        };
        system.into_iter().chain([question]).collect()
    }

    /// What it shows.
    pub fn medium(&self) -> Option<Medium> {
        let video = self.video.clone().map(Medium::Video);
        video.or_else(|| self.image.clone().map(Medium::Image))
    }

    /// Its media path, to be changed.
    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        self.video.as_mut().or(self.image.as_mut())
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

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
    check(&record)?;
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
fn check(record: &Record) -> Result<(), String> {
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

/// Whether a path stays below the folder that it is relative to.
fn is_inside(path: &Path) -> bool {
    let normal = |part| matches!(part, Component::Normal(_));
    !path.as_os_str().is_empty() && path.components().all(normal)
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
