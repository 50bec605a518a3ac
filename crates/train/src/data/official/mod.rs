//! The two formats of the official code's data, both ways (Emiya-syw/VideoSafety-R1, `README.md` and
//! `videollama3/train.py`, `train_grpo_vidlm3.py`). What our records cannot say is refused, and so is
//! what theirs cannot.

use safety::{Labels, SafetyLabel};
use serde_json::{Map, Value};

use super::Record;

mod flip;
pub(super) mod grpo;
mod labels;
pub(super) mod sft;

pub(super) use flip::flip;

/// An official record under way to ours.
pub(super) struct Read {
    /// Its media paths as written, its id not yet set.
    pub(super) record: Record,
    /// Keys that say nothing to us.
    pub(super) ignored: Vec<String>,
}

/// Takes the string `key`.
fn take_text(object: &mut Map<String, Value>, key: &str) -> Result<String, String> {
    match object.shift_remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("`{key}` is {}, not text", short(&other))),
        None => Err(format!("has no `{key}`")),
    }
}

/// Takes the id `key`, a string or a number; empty if there is none.
pub(super) fn take_id(value: &mut Value, key: &str) -> Result<String, String> {
    let Value::Object(object) = value else {
        return Err(format!("is {}, not an object", short(value)));
    };
    match object.shift_remove(key).unwrap_or_default() {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok(String::new()),
        other => Err(format!("`{key}` is {}, not text", short(&other))),
    }
}

/// Takes `subset`, which the official code does not know and passes over.
fn take_subset(object: &mut Map<String, Value>) -> Result<Option<safety::Subset>, String> {
    let value = object.shift_remove("subset").unwrap_or_default();
    serde_json::from_value(value).map_err(|error| format!("`subset`: {error}"))
}

fn put_subset(object: &mut Map<String, Value>, record: &Record) {
    if let Some(subset) = record.subset {
        object.insert("subset".to_owned(), subset.name().into());
    }
}

fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(format!("is {}, not an object", short(&other))),
    }
}

/// Enough of a value to find it.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What the four tags of an answer say of the labels, if it is exactly those tags.
pub(super) fn tags(answer: &str) -> Option<Labels> {
    let parsed = safety::completion::parse(answer);
    let label = |label: Option<SafetyLabel>| label.map(Some);
    parsed.strict.then_some(())?;
    Some(Labels {
        visual: label(parsed.video())?,
        textual: label(parsed.text())?,
    })
}
