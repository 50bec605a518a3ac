//! What one line says.

use std::path::{Path, PathBuf};

use model::message::{Message, Role};
use safety::{Labels, Subset};
use serde::{Deserialize, Serialize};

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
    pub(super) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        self.video.as_mut().or(self.image.as_mut())
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
