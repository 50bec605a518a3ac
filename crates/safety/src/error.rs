//! What can be wrong with what a person wrote: a taxonomy file, a language code, a completion.

use crate::completion::Tag;

/// Everything that this crate can refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not TOML, or a key that a taxonomy does not have; the reader's message says where.
    #[error("taxonomy cannot be read: {0}")]
    TaxonomySyntax(String),
    /// A taxonomy without categories.
    #[error("taxonomy `{taxonomy}` has no category; write at least one [[category]]")]
    NoCategory {
        /// Name of the taxonomy.
        taxonomy: String,
    },
    /// A category without subcategories.
    #[error(
        "category `{category}` has no subcategory; write at least one [[category.subcategory]]"
    )]
    NoSubcategory {
        /// Id of the category.
        category: String,
    },
    /// A name, a version or a definition with nothing in it.
    #[error("{field} of {of} is empty; write it or remove the entry")]
    EmptyField {
        /// Name of the key.
        field: &'static str,
        /// What it belongs to.
        of: String,
    },
    /// An id with something else than lower-case letters, digits and hyphens.
    #[error(
        "id `{id}` is not one to 64 lower-case letters, digits and single hyphens, starting with a letter"
    )]
    BadId {
        /// As written.
        id: String,
    },
    /// Two entries with one id at the same level.
    #[error("id `{id}` is used twice in {within}; ids must be unique there")]
    DuplicateId {
        /// The repeated id.
        id: String,
        /// The taxonomy or the category that holds both.
        within: String,
    },
    /// Not one of the ten codes.
    #[error("language `{code}` is not one of ar, de, en, es, fr, hi, ja, pt, ru, zh")]
    UnknownLanguage {
        /// As written.
        code: String,
    },
    /// A completion whose text would read as a tag, so that it could not be read back.
    #[error("content of {tag} contains the marker `{marker}`; remove it before writing")]
    MarkerInContent {
        /// The part.
        tag: Tag,
        /// The marker found in it.
        marker: &'static str,
    },
}
