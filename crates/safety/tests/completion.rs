//! What is read of hostile, cut and well-formed completions, and what is written.

use proptest::prelude::*;

use safety::{
    SafetyLabel::{self, Harmful, Safe},
    completion::{Completion, Part, Tag, parse, shown},
};

const WHOLE: &str =
    "<think>a</think>\n<answer>b</answer>\n<vidType>1</vidType>\n<textType>0</textType>";

#[track_caller]
fn check_strict(text: &str, expected: bool) {
    assert_eq!(parse(text).strict, expected, "{text:?}");
}

#[track_caller]
fn check_shown(text: &str, expected: &str) {
    assert_eq!(shown(text), expected, "{text:?}");
}

#[test]
fn a_completion_is_written_as_the_official_data_has_it() {
    assert_eq!(
        Completion::new("a", "b", Harmful, Safe)
            .unwrap()
            .to_string(),
        WHOLE
    );
}

#[test]
fn a_whole_text_has_every_part() {
    let parsed = parse(WHOLE);
    assert_eq!(parsed.think, Part::Whole("a"));
    assert_eq!(parsed.answer, Part::Whole("b"));
    assert_eq!((parsed.video(), parsed.text()), (Some(Harmful), Some(Safe)));
    assert_eq!(parsed.missing().count(), 0);
}

#[test]
fn the_written_form_is_strict() {
    check_strict(WHOLE, true);
}

#[test]
fn tags_without_white_space_between_are_strict() {
    check_strict(&WHOLE.replace('\n', ""), true);
}

#[test]
fn much_white_space_between_is_strict() {
    check_strict(&WHOLE.replace('\n', " \n\t\n"), true);
}

#[test]
fn lines_inside_a_part_are_strict() {
    check_strict(&WHOLE.replace(">a<", ">a\n\nb<"), true);
}

#[test]
fn what_a_label_holds_does_not_matter_to_the_format() {
    check_strict(&WHOLE.replace(">1<", ">maybe<"), true);
    assert_eq!(parse(&WHOLE.replace(">1<", ">maybe<")).video(), None);
}

#[test]
fn a_word_between_is_not_strict() {
    check_strict(&WHOLE.replace("</think>", "</think> so"), false);
}

#[test]
fn a_word_behind_is_not_strict() {
    check_strict(&format!("{WHOLE} done"), false);
}

#[test]
fn a_word_in_front_is_not_strict() {
    check_strict(&format!("so {WHOLE}"), false);
}

#[test]
fn another_order_is_not_strict_but_everything_is_found() {
    let text = "<answer>b</answer><think>a</think><textType>0</textType><vidType>1</vidType>";
    check_strict(text, false);
    let parsed = parse(text);
    assert_eq!(
        (parsed.think, parsed.answer),
        (Part::Whole("a"), Part::Whole("b"))
    );
    assert_eq!((parsed.video(), parsed.text()), (Some(Harmful), Some(Safe)));
}

#[test]
fn two_answers_are_not_strict() {
    check_strict(
        &WHOLE.replace("</answer>", "</answer><answer>c</answer>"),
        false,
    );
}

#[test]
fn a_tag_inside_another_is_not_strict() {
    check_strict(&WHOLE.replace(">a<", "><answer>x</answer><"), false);
}

#[test]
fn reasoning_that_mentions_a_tag_does_not_hide_the_answer() {
    let text = WHOLE.replace(">a<", ">I must fill <answer>x</answer><");
    assert_eq!(parse(&text).answer, Part::Whole("b"));
}

#[test]
fn a_text_without_tags_misses_all_four() {
    assert_eq!(parse("Hello").missing().collect::<Vec<_>>(), Tag::ALL);
}

#[test]
fn a_cut_answer_is_unclosed_and_the_labels_are_missing() {
    let parsed = parse("<think>a</think>\n<answer>b and");
    assert_eq!(parsed.answer, Part::Unclosed("b and"));
    let missing: Vec<Tag> = parsed.missing().collect();
    assert_eq!(missing, [Tag::Answer, Tag::VidType, Tag::TextType]);
}

#[test]
fn white_space_round_a_label_is_no_matter() {
    assert_eq!(parse("<vidType> 1\n</vidType>").video(), Some(Harmful));
}

#[test]
fn content_that_reads_as_a_tag_cannot_be_written() {
    let error = Completion::new("a", "see </answer>", Safe, Safe).unwrap_err();
    assert!(error.to_string().contains("`</answer>`"), "{error}");
}

#[test]
fn the_answer_is_what_is_shown() {
    check_shown(WHOLE, "b");
}

#[test]
fn a_plain_text_is_shown_whole() {
    check_shown(" Hello. ", "Hello.");
}

#[test]
fn reasoning_is_not_shown() {
    check_shown("<think>I cannot</think> Hello.", "Hello.");
}

#[test]
fn reasoning_that_the_template_opened_is_not_shown() {
    check_shown("I cannot</think>\n\nHello.", "Hello.");
}

#[test]
fn a_text_cut_in_its_reasoning_shows_nothing() {
    check_shown("<think>I cannot", "");
}

fn scrap() -> impl Strategy<Value = String> {
    let markers = Tag::ALL
        .into_iter()
        .flat_map(|tag| [tag.open(), tag.close()]);
    let markers: Vec<String> = markers.map(str::to_owned).collect();
    prop_oneof![
        prop::sample::select(markers),
        any::<String>(),
        prop::sample::select(vec!["0", "1", "<", "</", "é…\u{200b}", "\n"]).prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn hostile_text_never_panics(scraps in prop::collection::vec(scrap(), 0..24)) {
        let text = scraps.concat();
        let parsed = parse(&text);
        prop_assert!(!parsed.strict || parsed.missing().count() == 0);
        prop_assert!(shown(&text).len() <= text.len());
    }

    #[test]
    fn what_is_written_is_read_back(think in "[^<]*", answer in any::<String>(), video in 0u8..2, text in 0u8..2) {
        let label = |value: u8| SafetyLabel::try_from(value).unwrap();
        let Ok(written) = Completion::new(&think, &answer, label(video), label(text)) else {
            return Ok(());
        };
        let line = written.to_string();
        let parsed = parse(&line);
        prop_assert!(parsed.strict);
        prop_assert_eq!(parsed.think, Part::Whole(think.as_str()));
        prop_assert_eq!(parsed.answer, Part::Whole(answer.as_str()));
        prop_assert_eq!((parsed.video(), parsed.text()), (Some(label(video)), Some(label(text))));
    }
}
