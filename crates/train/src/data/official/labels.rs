//! Labels as older and newer official files write them. They are read, never guessed.

use safety::{Labels, SafetyLabel};
use serde_json::{Map, Value};

use super::short;

/// Takes all labels of a record: nested, flat, and those of a marker at the end of its question. Two
/// that contradict each other are an error.
pub(super) fn take(
    object: &mut Map<String, Value>,
    marker: Option<Labels>,
) -> Result<Labels, String> {
    let mut nested = match object.shift_remove("safety_labels").unwrap_or_default() {
        Value::Object(nested) => nested,
        Value::Null => Map::new(),
        other => {
            return Err(format!(
                "`safety_labels` is {}, not an object",
                short(&other)
            ));
        }
    };
    let mut one = |key: &str, flat: &str, marked: Option<SafetyLabel>| {
        let nested_key = format!("safety_labels.{key}");
        let said = [
            label(&nested_key, nested.shift_remove(key))?,
            label(flat, object.shift_remove(flat))?,
            marked,
        ];
        let mut said = said.into_iter().flatten();
        let first = said.next();
        match said.find(|other| Some(*other) != first) {
            None => Ok(first),
            Some(_) => Err(format!(
                "has two {key} labels that differ: keep one of `safety_labels`, `{flat}` and `$v$t`"
            )),
        }
    };
    let marker = marker.unwrap_or_default();
    let labels = Labels {
        visual: one("visual", "visual_safety_label", marker.visual)?,
        textual: one("textual", "textual_safety_label", marker.textual)?,
    };
    match nested.keys().next() {
        None => Ok(labels),
        Some(key) => Err(format!(
            "`safety_labels.{key}` is neither `visual` nor `textual`"
        )),
    }
}

fn label(key: &str, value: Option<Value>) -> Result<Option<SafetyLabel>, String> {
    let value = value.unwrap_or_default();
    let harmful = match &value {
        Value::Null => return Ok(None),
        Value::Bool(harmful) => Some(*harmful),
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "0" | "safe" => Some(false),
            "1" | "harmful" => Some(true),
            _ => None,
        },
        Value::Array(_) | Value::Object(_) => None,
    };
    match harmful {
        Some(false) => Ok(Some(SafetyLabel::Safe)),
        Some(true) => Ok(Some(SafetyLabel::Harmful)),
        None => Err(format!(
            "`{key}` is {}, neither 0 (safe) nor 1 (harmful)",
            short(&value)
        )),
    }
}

/// A question without the marker `$v$t` at its end, and what the marker says.
pub(super) fn without_marker(text: &str) -> (&str, Option<Labels>) {
    let end = text.trim_end();
    let label = |byte| match byte {
        b'0' => Some(SafetyLabel::Safe),
        b'1' => Some(SafetyLabel::Harmful),
        _ => None,
    };
    if let Some((before, &[b'$', visual, b'$', textual])) = end.as_bytes().split_last_chunk::<4>()
        && let (visual @ Some(_), textual @ Some(_)) = (label(visual), label(textual))
    {
        return (
            end[..before.len()].trim_end(),
            Some(Labels { visual, textual }),
        );
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, want: &str) {
        let mut object: Map<String, Value> = serde_json::from_str(json).unwrap();
        let said = match take(&mut object, None) {
            Ok(Labels { visual, textual }) => [visual, textual]
                .map(|label| label.map_or("-".to_owned(), |label| u8::from(label).to_string()))
                .concat(),
            Err(reason) => reason,
        };
        assert!(said.contains(want), "{json}: {said:?}");
    }

    #[test]
    fn every_spelling_of_a_label_is_read() {
        for (one, zero) in [
            ("1", "0"),
            ("\"1\"", "\"0\""),
            ("true", "false"),
            ("\"harmful\"", "\"Safe\""),
        ] {
            check(
                &format!(r#"{{"safety_labels": {{"visual": {one}, "textual": {zero}}}}}"#),
                "10",
            );
            check(
                &format!(r#"{{"visual_safety_label": {zero}, "textual_safety_label": {one}}}"#),
                "01",
            );
        }
    }

    #[test]
    fn what_is_absent_stays_unknown() {
        check("{}", "--");
        check(r#"{"safety_labels": null}"#, "--");
        check(r#"{"safety_labels": {"textual": 1, "visual": null}}"#, "-1");
    }

    #[test]
    fn a_label_that_is_none_is_refused() {
        for bad in ["2", "-1", "0.5", "\"maybe\"", "[1]"] {
            check(
                &format!(r#"{{"visual_safety_label": {bad}}}"#),
                "`visual_safety_label` is",
            );
        }
        check(
            r#"{"safety_labels": {"video": 1}}"#,
            "`safety_labels.video`",
        );
        check(r#"{"safety_labels": 1}"#, "not an object");
    }

    #[test]
    fn labels_that_contradict_each_other_are_refused() {
        check(
            r#"{"safety_labels": {"visual": 1}, "visual_safety_label": "safe"}"#,
            "two visual labels",
        );
        check(
            r#"{"safety_labels": {"visual": 1}, "visual_safety_label": "1"}"#,
            "1-",
        );
    }

    #[test]
    fn a_marker_is_one_at_the_end() {
        let said = |text| {
            let (text, labels) = without_marker(text);
            (
                text,
                labels.map(|labels| (labels.visual.map(u8::from), labels.textual.map(u8::from))),
            )
        };
        assert_eq!(said("Is it? $1$0 \n"), ("Is it?", Some((Some(1), Some(0)))));
        assert_eq!(said("$0$1"), ("", Some((Some(0), Some(1)))));
        assert_eq!(said("costs $1$0 or more "), ("costs $1$0 or more ", None));
        assert_eq!(said("costs $2$0"), ("costs $2$0", None));
        assert_eq!(said("é$1"), ("é$1", None));
    }
}
