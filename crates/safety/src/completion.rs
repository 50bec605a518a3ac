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
