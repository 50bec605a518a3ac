//! `{"video": ["videos/x.mp4"], "conversations": [{"from": "human", "value": "<video>\n…"}, {"from":
//! "gpt", "value": "…"}], "safety_labels": {"visual": 1, "textual": 0}}`, and `image` likewise.
//!
//! `id` and `subset` are written beside these keys; the official code passes over them.

use std::path::PathBuf;

use safety::Labels;
use serde_json::{Map, Value, json};

use super::super::{Medium, Record, Task, Turn};
use super::labels::{self, without_marker};
use super::{Read, object, put_subset, short, take_subset, take_text};

const VIDEO: &str = "<video>";
const IMAGE: &str = "<image>";

/// One official record, its id taken, as ours.
pub(in super::super) fn read(value: Value) -> Result<Read, String> {
    let mut object = object(value)?;
    let video = take_path(&mut object, "video")?;
    let image = take_path(&mut object, "image")?;
    let mut said = take_conversation(&mut object)?;
    let system = match said.first() {
        Some((Speaker::System, _)) => Some(said.remove(0).1),
        _ => None,
    };
    let mut turns = pairs(said)?;
    let first = turns.remove(0);
    let marker = match (&video, &image) {
        (Some(_), _) => Some(VIDEO),
        (None, Some(_)) => Some(IMAGE),
        (None, None) => None,
    };
    let query = without_medium(&first.query, marker)?;
    for text in turns.iter().map(|turn| &turn.query) {
        without_medium(text, None)?;
    }
    let (query, marked) = without_marker(query);
    let record = Record {
        subset: take_subset(&mut object)?,
        labels: labels::take(&mut object, marked)?,
        video,
        image,
        system,
        query: query.to_owned(),
        answer: first.answer,
        turns,
        ..Record::default()
    };
    let ignored = object.into_iter().map(|(key, _)| key).collect();
    Ok(Read { record, ignored })
}

/// One of our records, its media path already as it is to be written.
pub(in super::super) fn write(record: &Record) -> Result<Value, String> {
    refuse_what_cannot_be_said(record)?;
    let mut object = Map::new();
    object.insert("id".to_owned(), record.id.as_str().into());
    put_subset(&mut object, record);
    let marker = match record.medium() {
        None => String::new(),
        Some(medium) => {
            let (key, marker) = match medium {
                Medium::Video(_) => ("video", VIDEO),
                Medium::Image(_) => ("image", IMAGE),
            };
            let path = medium.path().to_str().ok_or("its media path is not text")?;
            object.insert(key.to_owned(), json!([path]));
            format!("{marker}\n")
        }
    };
    let mut conversation = Vec::with_capacity(2 + 2 * record.turns.len());
    let mut say =
        |from: &str, value: &str| conversation.push(json!({"from": from, "value": value}));
    say("human", &(marker + &record.query));
    say("gpt", &record.answer);
    for turn in &record.turns {
        say("human", &turn.query);
        say("gpt", &turn.answer);
    }
    object.insert("conversations".to_owned(), conversation.into());
    if let Labels {
        visual: Some(visual),
        textual: Some(textual),
    } = record.labels
    {
        let labels = json!({"visual": u8::from(visual), "textual": u8::from(textual)});
        object.insert("safety_labels".to_owned(), labels);
    }
    Ok(object.into())
}

fn refuse_what_cannot_be_said(record: &Record) -> Result<(), String> {
    let cannot = |what: &str| Err(format!("{what} cannot be said in the `sft` format"));
    if record.task != Task::Safety {
        return cannot(&format!("`task` {} (use `grpo`)", record.task.name()));
    }
    if record.rejected.is_some() {
        return cannot("`rejected`");
    }
    if record.system.is_some() {
        return cannot("`system` (the official code would take it for an answer)");
    }
    if record.labels.visual.is_some() != record.labels.textual.is_some() {
        return cannot("one label without the other");
    }
    let queries = std::iter::once(&record.query).chain(record.turns.iter().map(|turn| &turn.query));
    for query in queries {
        if query.contains(VIDEO) || query.contains(IMAGE) {
            return cannot(&format!("a question with the words {VIDEO} or {IMAGE}"));
        }
    }
    if without_marker(&record.query).1.is_some() {
        return cannot("a question that ends like a `$v$t` marker");
    }
    Ok(())
}

fn take_path(object: &mut Map<String, Value>, key: &str) -> Result<Option<PathBuf>, String> {
    let path = match object.shift_remove(key).unwrap_or_default() {
        Value::Null => return Ok(None),
        Value::Array(mut paths) if paths.len() == 1 => paths.remove(0),
        Value::Array(paths) => {
            let count = paths.len();
            return Err(format!("`{key}` names {count} files: a record shows one"));
        }
        other => other,
    };
    match path {
        Value::String(path) => Ok(Some(path.into())),
        other => Err(format!("`{key}` is {}, not a path", short(&other))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    System,
    Human,
    Model,
}

fn take_conversation(object: &mut Map<String, Value>) -> Result<Vec<(Speaker, String)>, String> {
    let sentences = match object.shift_remove("conversations") {
        Some(Value::Array(sentences)) => sentences,
        Some(other) => return Err(format!("`conversations` is {}, not a list", short(&other))),
        None => return Err("has no `conversations`".to_owned()),
    };
    let sentence = |(i, value): (usize, Value)| -> Result<(Speaker, String), String> {
        let at = |reason: String| format!("conversations[{i}] {reason}");
        let mut sentence = self::object(value).map_err(at)?;
        let from = take_text(&mut sentence, "from").map_err(at)?;
        let speaker = match from.as_str() {
            "human" | "user" => Speaker::Human,
            "gpt" | "assistant" => Speaker::Model,
            "system" => Speaker::System,
            _ => return Err(at(format!("is from `{from}`, neither `human` nor `gpt`"))),
        };
        Ok((speaker, take_text(&mut sentence, "value").map_err(at)?))
    };
    sentences.into_iter().enumerate().map(sentence).collect()
}

/// Questions with their answers; one at least.
fn pairs(said: Vec<(Speaker, String)>) -> Result<Vec<Turn>, String> {
    let mut turns = Vec::with_capacity(said.len() / 2);
    let mut said = said.into_iter();
    while let Some((first, query)) = said.next() {
        match (first, said.next()) {
            (Speaker::Human, Some((Speaker::Model, answer))) => turns.push(Turn { query, answer }),
            (Speaker::Human, None) => return Err("ends with a question".to_owned()),
            _ => return Err("`human` and `gpt` do not take turns".to_owned()),
        }
    }
    if turns.is_empty() {
        return Err("`conversations` is empty".to_owned());
    }
    Ok(turns)
}

/// A question without the marker of its medium, which stands first or last or is left out; a marker
/// anywhere else, or of something that is not shown, is an error.
fn without_medium<'t>(text: &'t str, marker: Option<&str>) -> Result<&'t str, String> {
    let rest = match marker {
        None => text,
        Some(marker) => match text.strip_prefix(marker) {
            Some(rest) => rest.strip_prefix('\n').unwrap_or_else(|| rest.trim_start()),
            None => text
                .trim_end()
                .strip_suffix(marker)
                .map_or(text, str::trim_end),
        },
    };
    match [VIDEO, IMAGE]
        .into_iter()
        .find(|marker| rest.contains(marker))
    {
        None => Ok(rest),
        Some(found) => Err(format!(
            "{found} stands in a question where a record cannot say it: shown is one video or image, \
             before the first question"
        )),
    }
}
