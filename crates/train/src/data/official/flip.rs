//! Older files mean the opposite: 0 harmful, 1 safe.

use safety::completion::Tag;
use safety::{Labels, SafetyLabel};

use super::super::Record;

/// The record with every label the other way round: its fields, and the tags of its answers.
pub(in super::super) fn flip(mut record: Record) -> Result<Record, String> {
    let Labels { visual, textual } = record.labels;
    record.labels = Labels {
        visual: visual.map(other),
        textual: textual.map(other),
    };
    record.answer = answer(&record.answer)?;
    record.rejected = record.rejected.as_deref().map(answer).transpose()?;
    for turn in &mut record.turns {
        turn.answer = answer(&turn.answer)?;
    }
    Ok(record)
}

fn other(label: SafetyLabel) -> SafetyLabel {
    match label {
        SafetyLabel::Safe => SafetyLabel::Harmful,
        SafetyLabel::Harmful => SafetyLabel::Safe,
    }
}

/// An answer with the content of each whole `<vidType>` and `<textType>` the other way round.
fn answer(text: &str) -> Result<String, String> {
    let mut flipped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, tag)) = [Tag::VidType, Tag::TextType]
        .into_iter()
        .filter_map(|tag| Some((rest.find(tag.open())?, tag)))
        .min_by_key(|(start, _)| *start)
    {
        let inside = start + tag.open().len();
        let Some(length) = rest[inside..].find(tag.close()) else {
            flipped.push_str(&rest[..inside]);
            rest = &rest[inside..];
            continue;
        };
        let label = match rest[inside..inside + length].trim() {
            "0" => "1",
            "1" => "0",
            found => {
                let found: String = found.chars().take(40).collect();
                return Err(format!(
                    "{tag} holds `{found}`, neither 0 nor 1: labels cannot be flipped"
                ));
            }
        };
        flipped.push_str(&rest[..inside]);
        flipped.push_str(label);
        flipped.push_str(tag.close());
        rest = &rest[inside + length + tag.close().len()..];
    }
    Ok(flipped + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(answer(text).as_deref(), Ok(want));
        assert_eq!(answer(want).as_deref(), Ok(text));
    }

    #[test]
    fn both_tags_are_flipped() {
        check(
            "<think>t</think>\n<answer>a</answer>\n<vidType>1</vidType>\n<textType>0</textType>",
            "<think>t</think>\n<answer>a</answer>\n<vidType>0</vidType>\n<textType>1</textType>",
        );
    }

    #[test]
    fn a_text_without_tags_stays() {
        check("The video is harmful: 1.", "The video is harmful: 1.");
        check(
            "a tag <vidType> alone, <textType>1</textType>",
            "a tag <vidType> alone, <textType>0</textType>",
        );
    }

    #[test]
    fn a_tag_without_a_label_is_refused() {
        let reason = answer("<vidType>harmful</vidType>").unwrap_err();
        assert!(reason.contains("<vidType> holds `harmful`"), "{reason}");
    }
}
