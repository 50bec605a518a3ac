//! `{"problem_id", "data_type": "video"|"image", "path", "problem", "problem_type", "options"?,
//! "solution": "<think>…</think><answer>…</answer><vidType>1</vidType><textType>0</textType>"}`.
//!
//! The labels of a safety problem are those of its tags. `subset` is written beside these keys; the
//! official code passes over it.

use std::path::PathBuf;

use safety::Labels;
use serde_json::{Map, Value, json};

use super::super::{Medium, Record, Task};
use super::{Read, object, put_subset, short, tags, take_subset, take_text};

fn name(task: Task) -> &'static str {
    match task {
        Task::Safety => "free-form-and-choice",
        Task::FreeForm => "free-form",
        Task::MultipleChoice => "multiple choice",
        Task::Numerical => "numerical",
        Task::Ocr => "OCR",
        Task::Regression => "regression",
    }
}

/// One official record, its id taken, as ours.
pub(in super::super) fn read(value: Value) -> Result<Read, String> {
    let mut object = object(value)?;
    let kind = take_text(&mut object, "problem_type")?;
    let task = Task::ALL.into_iter().find(|task| name(*task) == kind);
    let task = task.ok_or_else(|| {
        let known = Task::ALL.map(name).join("`, `");
        format!("`problem_type` is `{kind}`, none of `{known}`")
    })?;
    let path = PathBuf::from(take_text(&mut object, "path")?);
    let (video, image) = match take_text(&mut object, "data_type")?.as_str() {
        "video" => (Some(path), None),
        "image" => (None, Some(path)),
        other => {
            return Err(format!(
                "`data_type` is `{other}`, neither `video` nor `image`"
            ));
        }
    };
    let mut ignored = Vec::new();
    let options = take_options(&mut object)?;
    let options = if task == Task::MultipleChoice {
        options
    } else {
        if !options.is_empty() {
            ignored.push("options".to_owned());
        }
        Vec::new()
    };
    let answer = take_text(&mut object, "solution")?;
    let labels = match task {
        Task::Safety => tags(&answer).unwrap_or_default(),
        _ => Labels::default(),
    };
    let record = Record {
        subset: take_subset(&mut object)?,
        task,
        video,
        image,
        query: take_text(&mut object, "problem")?,
        options,
        answer,
        labels,
        ..Record::default()
    };
    ignored.extend(object.into_iter().map(|(key, _)| key));
    Ok(Read { record, ignored })
}

/// One of our records, its media path already as it is to be written.
pub(in super::super) fn write(record: &Record) -> Result<Value, String> {
    let cannot = |what: &str| Err(format!("{what} cannot be said in the `grpo` format"));
    let Some(medium) = record.medium() else {
        return cannot("a question without a video or an image");
    };
    if record.rejected.is_some() {
        return cannot("`rejected`");
    }
    if record.system.is_some() {
        return cannot("`system`");
    }
    if !record.turns.is_empty() {
        return cannot("`turns`");
    }
    let said = match record.task {
        Task::Safety => tags(&record.answer).unwrap_or_default(),
        _ => Labels::default(),
    };
    if record.labels != said {
        return cannot("`labels` other than those of the tags in `answer`");
    }
    let kind = match medium {
        Medium::Video(_) => "video",
        Medium::Image(_) => "image",
    };
    let path = medium.path().to_str().ok_or("its media path is not text")?;
    let mut object = Map::new();
    object.insert("problem_id".to_owned(), record.id.as_str().into());
    put_subset(&mut object, record);
    object.insert("data_type".to_owned(), kind.into());
    object.insert("path".to_owned(), path.into());
    object.insert("problem".to_owned(), record.query.as_str().into());
    object.insert("problem_type".to_owned(), name(record.task).into());
    if !record.options.is_empty() {
        object.insert("options".to_owned(), json!(record.options));
    }
    object.insert("solution".to_owned(), record.answer.as_str().into());
    Ok(object.into())
}

fn take_options(object: &mut Map<String, Value>) -> Result<Vec<String>, String> {
    match object.shift_remove("options").unwrap_or_default() {
        Value::Null => Ok(Vec::new()),
        value => serde_json::from_value(value.clone())
            .map_err(|_| format!("`options` is {}, not a list of texts", short(&value))),
    }
}
