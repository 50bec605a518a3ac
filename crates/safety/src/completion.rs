//! The tagged text that the trained model writes, and what a reader sees of any model's text:
//! `<think>…</think>\n<answer>…</answer>\n<vidType>1</vidType>\n<textType>0</textType>`.
//!
//! Model text is hostile: nothing here panics, and what is not there is said to be missing.

use std::fmt;

use crate::{Error, SafetyLabel};

/// One of the four parts, in the order of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tag {
    /// Reasoning.
    Think,
    /// What the user is told.
    Answer,
    /// The video's label.
    VidType,
    /// The query's label.
    TextType,
}

impl Tag {
    /// All four, in the order of the format.
    pub const ALL: [Self; 4] = [Self::Think, Self::Answer, Self::VidType, Self::TextType];

    /// `<think>`
    pub fn open(self) -> &'static str {
        match self {
            Self::Think => "<think>",
            Self::Answer => "<answer>",
            Self::VidType => "<vidType>",
            Self::TextType => "<textType>",
        }
    }

    /// `</think>`
    pub fn close(self) -> &'static str {
        match self {
            Self::Think => "</think>",
            Self::Answer => "</answer>",
            Self::VidType => "</vidType>",
            Self::TextType => "</textType>",
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.open())
    }
}

/// A whole completion, ready to be written (`to_string`) in the strict format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    think: String,
    answer: String,
    video: SafetyLabel,
    text: SafetyLabel,
}

impl Completion {
    /// Reasoning, answer and the two labels. Error: a text that holds one of the eight markers,
    /// because it could not be read back.
    pub fn new(
        think: &str,
        answer: &str,
        video: SafetyLabel,
        text: SafetyLabel,
    ) -> Result<Self, Error> {
        for (tag, content) in [(Tag::Think, think), (Tag::Answer, answer)] {
            let mut markers = Tag::ALL
                .into_iter()
                .flat_map(|tag| [tag.open(), tag.close()]);
            if let Some(marker) = markers.find(|marker| content.contains(marker)) {
                return Err(Error::MarkerInContent { tag, marker });
            }
        }
        Ok(Self {
            think: think.to_owned(),
            answer: answer.to_owned(),
            video,
            text,
        })
    }

    /// Reasoning.
    pub fn think(&self) -> &str {
        &self.think
    }

    /// What the user is told.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// The video's label.
    pub fn video(&self) -> SafetyLabel {
        self.video
    }

    /// The query's label.
    pub fn text(&self) -> SafetyLabel {
        self.text
    }
}

impl fmt::Display for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = u8::from;
        writeln!(f, "<think>{}</think>", self.think)?;
        writeln!(f, "<answer>{}</answer>", self.answer)?;
        writeln!(f, "<vidType>{}</vidType>", label(self.video))?;
        write!(f, "<textType>{}</textType>", label(self.text))
    }
}

/// What was found of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<T> {
    /// No such tag.
    Missing,
    /// Opened and never closed, as in a text that was cut off: everything after the opening.
    Unclosed(T),
    /// Between the opening and the next closing, white space kept.
    Whole(T),
}

impl<T> Part<T> {
    /// The content, if it was closed.
    pub fn whole(self) -> Option<T> {
        match self {
            Self::Whole(content) => Some(content),
            Self::Missing | Self::Unclosed(_) => None,
        }
    }
}

/// What there is of the four parts in a model's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// Reasoning.
    pub think: Part<&'a str>,
    /// What the user is told.
    pub answer: Part<&'a str>,
    /// The video's label as written; see [`Parsed::video`].
    pub vid_type: Part<&'a str>,
    /// The query's label as written; see [`Parsed::text`].
    pub text_type: Part<&'a str>,
    /// Whether the whole text is the four tags in order, each once, with only white space between
    /// them and nothing around them. What the tags hold does not matter.
    pub strict: bool,
}

impl<'a> Parsed<'a> {
    /// The part of one tag.
    pub fn part(&self, tag: Tag) -> Part<&'a str> {
        match tag {
            Tag::Think => self.think,
            Tag::Answer => self.answer,
            Tag::VidType => self.vid_type,
            Tag::TextType => self.text_type,
        }
    }

    /// Parts that are absent or never closed, in the order of the format.
    pub fn missing(&self) -> impl Iterator<Item = Tag> {
        Tag::ALL
            .into_iter()
            .filter(|&tag| self.part(tag).whole().is_none())
    }

    /// The video's label: `None` if absent or neither `0` nor `1`.
    pub fn video(&self) -> Option<SafetyLabel> {
        label(self.vid_type)
    }

    /// The query's label: `None` if absent or neither `0` nor `1`.
    pub fn text(&self) -> Option<SafetyLabel> {
        label(self.text_type)
    }
}

/// Reads what there is. Each part is looked for behind the one before it, so that reasoning which
/// mentions a tag does not hide the real one; a part out of order is found too.
pub fn parse(text: &str) -> Parsed<'_> {
    let mut from = 0;
    let mut parts = Tag::ALL.map(|tag| {
        let (part, end) = find(text, from, tag);
        from = end;
        part
    });
    for (part, tag) in parts.iter_mut().zip(Tag::ALL) {
        if part.whole().is_none()
            && let (whole @ Part::Whole(_), _) = find(text, 0, tag)
        {
            *part = whole;
        }
    }
    let [think, answer, vid_type, text_type] = parts;
    Parsed {
        think,
        answer,
        vid_type,
        text_type,
        strict: is_strict(text),
    }
}

/// What the user is shown of any model's text, trimmed: the answer where there is one (also if it
/// was cut off), else what follows the reasoning, else the whole text. Empty if the text ends
/// inside its reasoning.
pub fn shown(text: &str) -> &str {
    let parsed = parse(text);
    match (parsed.answer, parsed.think) {
        (Part::Whole(answer) | Part::Unclosed(answer), _) => answer.trim(),
        (Part::Missing, Part::Unclosed(_)) => "",
        (Part::Missing, _) => {
            // Some chat templates open the reasoning themselves: the text then has only the closing.
            let close = Tag::Think.close();
            text.rfind(close)
                .map_or(text, |at| &text[at + close.len()..])
                .trim()
        }
    }
}

/// The first such part at or behind byte `from`, and where the search for the next one starts.
fn find(text: &str, from: usize, tag: Tag) -> (Part<&str>, usize) {
    let Some(open) = text[from..].find(tag.open()) else {
        return (Part::Missing, from);
    };
    let start = from + open + tag.open().len();
    match text[start..].find(tag.close()) {
        Some(length) => (
            Part::Whole(&text[start..start + length]),
            start + length + tag.close().len(),
        ),
        None => (Part::Unclosed(&text[start..]), from),
    }
}

/// The reference's pattern, `<think>.*?</think>\s*<answer>…`, would let a tag hold another; here
/// every marker must be there exactly once, so that a completion cannot answer twice.
fn is_strict(text: &str) -> bool {
    let mut rest = text;
    for tag in Tag::ALL {
        if [tag.open(), tag.close()]
            .into_iter()
            .any(|marker| text.matches(marker).count() != 1)
        {
            return false;
        }
        if tag != Tag::Think {
            rest = rest.trim_start();
        }
        let Some((_, behind)) = rest
            .strip_prefix(tag.open())
            .and_then(|inside| inside.split_once(tag.close()))
        else {
            return false;
        };
        rest = behind;
    }
    rest.is_empty()
}

fn label(part: Part<&str>) -> Option<SafetyLabel> {
    match part.whole()?.trim() {
        "0" => Some(SafetyLabel::Safe),
        "1" => Some(SafetyLabel::Harmful),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use SafetyLabel::{Harmful, Safe};

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
            prop::sample::select(vec!["0", "1", "<", "</", "é…\u{200b}", "\n"])
                .prop_map(str::to_owned),
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
}
