//! The ten languages of the benchmark. The paper does not name its ten communities; this list is ours.

use serde::{Deserialize, Serialize};

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
