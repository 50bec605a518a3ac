//! The patterns of `rules.toml`, compiled once.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde::Deserialize;

use crate::Language;

/// The patterns of one language, each list one expression; `None` for an empty list.
pub(super) struct Patterns {
    pub(super) language: Language,
    pub(super) rewrite: Vec<(String, String)>,
    pub(super) decline: Option<Regex>,
    pub(super) policy: Option<Regex>,
    pub(super) apology: Option<Regex>,
    pub(super) condemn: Option<Regex>,
    pub(super) redirect: Option<Regex>,
    pub(super) unless: Option<Regex>,
    pub(super) turn: Option<Regex>,
    pub(super) instead: Option<Regex>,
}

/// Every language's patterns; English first, because it is tried first.
pub(super) static PATTERNS: LazyLock<Vec<Patterns>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("rules.toml")).expect("the file is tested");
    file.languages.into_iter().map(compile).collect()
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "language")]
    languages: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    code: Language,
    #[serde(default)]
    words: BTreeMap<String, String>,
    #[serde(default)]
    rewrite: Vec<(String, String)>,
    decline: Vec<String>,
    policy: Vec<String>,
    apology: Vec<String>,
    condemn: Vec<String>,
    redirect: Vec<String>,
    #[serde(default)]
    unless: Vec<String>,
    turn: Vec<String>,
    instead: Vec<String>,
}

fn compile(written: Written) -> Patterns {
    let words = &written.words;
    let joined = |patterns: &[String]| {
        if patterns.is_empty() {
            return None;
        }
        let mut text = patterns.join("|");
        // Words may use words, so once for each of them at most.
        for _ in 0..words.len() {
            for (name, pattern) in words {
                text = text.replace(&format!("<{name}>"), pattern);
            }
        }
        Some(Regex::new(&text).expect("the file is tested"))
    };
    Patterns {
        language: written.code,
        decline: joined(&written.decline),
        policy: joined(&written.policy),
        apology: joined(&written.apology),
        condemn: joined(&written.condemn),
        redirect: joined(&written.redirect),
        unless: joined(&written.unless),
        turn: joined(&written.turn),
        instead: joined(&written.instead),
        rewrite: written.rewrite,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_language_has_rules() {
        let have: BTreeSet<Language> = PATTERNS.iter().map(|patterns| patterns.language).collect();
        assert_eq!(have, Language::ALL.into_iter().collect());
    }

    #[test]
    fn no_word_is_left_unreplaced() {
        for patterns in PATTERNS.iter() {
            let decline = patterns.decline.as_ref().unwrap().as_str();
            for name in ["<act>", "<gap>", "<never>", "<verbs>"] {
                assert!(!decline.contains(name), "{}: {name}", patterns.language);
            }
        }
    }
}
