//! The ten languages of the benchmark. The paper does not name its ten communities; this list is ours.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

/// A query's language, by its ISO 639-1 code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Arabic
    Ar,
    /// German
    De,
    /// English
    En,
    /// Spanish
    Es,
    /// French
    Fr,
    /// Hindi
    Hi,
    /// Japanese
    Ja,
    /// Portuguese
    Pt,
    /// Russian
    Ru,
    /// Chinese
    Zh,
}

impl Language {
    /// All ten, in the order of every table: by code.
    pub const ALL: [Self; 10] = [
        Self::Ar,
        Self::De,
        Self::En,
        Self::Es,
        Self::Fr,
        Self::Hi,
        Self::Ja,
        Self::Pt,
        Self::Ru,
        Self::Zh,
    ];

    /// ISO 639-1, as on the wire.
    pub fn code(self) -> &'static str {
        self.names().0
    }

    /// In English.
    pub fn name(self) -> &'static str {
        self.names().1
    }

    /// As its speakers write it.
    pub fn own_name(self) -> &'static str {
        self.names().2
    }

    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Ar => ("ar", "Arabic", "العربية"),
            Self::De => ("de", "German", "Deutsch"),
            Self::En => ("en", "English", "English"),
            Self::Es => ("es", "Spanish", "español"),
            Self::Fr => ("fr", "French", "français"),
            Self::Hi => ("hi", "Hindi", "हिन्दी"),
            Self::Ja => ("ja", "Japanese", "日本語"),
            Self::Pt => ("pt", "Portuguese", "português"),
            Self::Ru => ("ru", "Russian", "русский"),
            Self::Zh => ("zh", "Chinese", "中文"),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Language {
    type Err = Error;

    /// From exactly the code on the wire.
    fn from_str(code: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
            .ok_or_else(|| Error::UnknownLanguage {
                code: code.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_what_is_on_the_wire() {
        for language in Language::ALL {
            let wire = serde_json::to_string(&language).unwrap();
            assert_eq!(wire, format!("\"{language}\""));
            assert_eq!(language.code().parse(), Ok(language));
        }
    }

    #[test]
    fn all_are_in_order_of_their_codes_and_different() {
        assert!(
            Language::ALL
                .windows(2)
                .all(|pair| pair[0].code() < pair[1].code())
        );
    }

    #[test]
    fn an_unknown_code_is_named() {
        let message = "xx".parse::<Language>().unwrap_err().to_string();
        assert!(
            message.starts_with("language `xx` is not one of ar, de"),
            "{message}"
        );
    }
}
