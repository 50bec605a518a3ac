//! Whether a text declines, by rule and with the reason.

use crate::Language;

/// How a text reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It declines.
    Refusal(Fired),
    /// It declines and then helps all the same.
    Partial(Fired),
    /// Nothing in it declines.
    NotRefusal,
}

impl Reading {
    /// Whether the text as a whole is a refusal. Declining and then helping is none.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refusal(_))
    }
}

/// The rule that fired, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Name of the rule in the rule file.
    pub rule: &'static str,
    /// Language of the rule.
    pub language: Language,
    /// The words that it matched.
    pub words: String,
}

/// Reads a text that a model said to its user.
pub fn read(_text: &str) -> Reading {
    Reading::NotRefusal
}

/// Why the text is a refusal, `None` if it is none: [`read`] for those who need not tell declining and
/// then helping from helping.
pub fn detect(text: &str) -> Option<Fired> {
    match read(text) {
        Reading::Refusal(fired) => Some(fired),
        Reading::Partial(_) | Reading::NotRefusal => None,
    }
}
