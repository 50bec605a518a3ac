//! What can be harmful: categories and subcategories, as data that a user can replace.
//!
//! An id is stable: it is what samples and results carry. A subcategory is named by two ids, its
//! category's and its own; `violence/weapons-firearms` is how the pair is printed.

use serde::{Deserialize, Serialize};

use crate::Error;

/// A policy of what is harmful, in the order in which tables show it. Holds at least one category,
/// each with at least one subcategory; ids are unique at their level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Taxonomy {
    written: Written,
}

/// The file as written, before it is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    version: String,
    source: String,
    #[serde(default, rename = "category")]
    categories: Vec<Category>,
}

/// A major risk category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Category {
    /// Stable, unique in the taxonomy.
    pub id: String,
    /// For people.
    pub name: String,
    /// One line.
    pub definition: String,
    /// In the order of the file, never empty.
    #[serde(default, rename = "subcategory")]
    pub subcategories: Vec<Subcategory>,
}

/// One kind of harm inside a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Subcategory {
    /// Stable, unique in its category.
    pub id: String,
    /// For people.
    pub name: String,
    /// One line.
    pub definition: String,
}

impl Taxonomy {
    /// Six categories with nineteen subcategories. The paper's own list of 19 is not public; this
    /// one is written after the same public source, YouTube's community guidelines.
    pub fn builtin() -> Self {
        Self::from_toml(include_str!("taxonomy.toml")).expect("the embedded taxonomy is tested")
    }

    /// The taxonomy in a user's own file: the keys of the embedded `taxonomy.toml`.
    ///
    /// Errors: not TOML, a missing or an unknown key (with its line); no category, a category
    /// without subcategories, an empty text, a malformed or a repeated id.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let written: Written =
            toml::from_str(text).map_err(|error| Error::TaxonomySyntax(error.to_string()))?;
        Self::try_from(written)
    }

    /// For people.
    pub fn name(&self) -> &str {
        &self.written.name
    }

    /// Changes whenever an id or a definition does.
    pub fn version(&self) -> &str {
        &self.written.version
    }

    /// What the list is grounded in; shown wherever the taxonomy is.
    pub fn source(&self) -> &str {
        &self.written.source
    }

    /// In order.
    pub fn categories(&self) -> &[Category] {
        &self.written.categories
    }

    /// Every subcategory with its category, in order.
    pub fn subcategories(&self) -> impl Iterator<Item = (&Category, &Subcategory)> {
        self.categories().iter().flat_map(|category| {
            category
                .subcategories
                .iter()
                .map(move |sub| (category, sub))
        })
    }

    /// The category with this id.
    pub fn category(&self, id: &str) -> Option<&Category> {
        self.categories().iter().find(|category| category.id == id)
    }

    /// The subcategory with this id in the category with that one.
    pub fn subcategory(&self, category: &str, id: &str) -> Option<&Subcategory> {
        self.category(category)?
            .subcategories
            .iter()
            .find(|sub| sub.id == id)
    }
}

impl TryFrom<Written> for Taxonomy {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Error> {
        let of = || "the taxonomy".to_owned();
        not_blank("name", &written.name, of)?;
        not_blank("version", &written.version, of)?;
        not_blank("source", &written.source, of)?;
        if written.categories.is_empty() {
            return Err(Error::NoCategory {
                taxonomy: written.name,
            });
        }
        unique_ids(
            written
                .categories
                .iter()
                .map(|category| category.id.as_str()),
            of,
        )?;
        for category in &written.categories {
            let of = || format!("category `{}`", category.id);
            not_blank("name", &category.name, of)?;
            not_blank("definition", &category.definition, of)?;
            if category.subcategories.is_empty() {
                return Err(Error::NoSubcategory {
                    category: category.id.clone(),
                });
            }
            unique_ids(category.subcategories.iter().map(|sub| sub.id.as_str()), of)?;
            for sub in &category.subcategories {
                let of = || format!("subcategory `{}/{}`", category.id, sub.id);
                not_blank("name", &sub.name, of)?;
                not_blank("definition", &sub.definition, of)?;
            }
        }
        Ok(Self { written })
    }
}

impl From<Taxonomy> for Written {
    fn from(taxonomy: Taxonomy) -> Self {
        taxonomy.written
    }
}

fn not_blank(field: &'static str, text: &str, of: impl Fn() -> String) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::EmptyField { field, of: of() });
    }
    Ok(())
}

fn unique_ids<'a>(
    ids: impl Iterator<Item = &'a str>,
    within: impl Fn() -> String,
) -> Result<(), Error> {
    let mut seen = std::collections::BTreeSet::new();
    for id in ids {
        if !is_id(id) {
            return Err(Error::BadId { id: id.to_owned() });
        }
        if !seen.insert(id) {
            return Err(Error::DuplicateId {
                id: id.to_owned(),
                within: within(),
            });
        }
    }
    Ok(())
}

/// Kebab case, so that an id is also a safe file name, HTML id and command-line word.
fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    id.len() <= 64
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .split('-')
            .all(|word| !word.is_empty() && word.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"
        name = "mine"
        version = "1"
        source = "our own policy"
        [[category]]
        id = "violence"
        name = "Violence"
        definition = "Harm to bodies."
        [[category.subcategory]]
        id = "weapons"
        name = "Weapons"
        definition = "Making or getting them."
    "#;

    /// `from` in a good file becomes `to`: the message then says `expected`.
    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        assert!(ONE.contains(from), "nothing replaced");
        let message = Taxonomy::from_toml(&ONE.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn ours_has_six_categories_and_nineteen_subcategories() {
        let ours = Taxonomy::builtin();
        let sizes: Vec<usize> = ours
            .categories()
            .iter()
            .map(|category| category.subcategories.len())
            .collect();
        assert_eq!(sizes, [4, 3, 3, 4, 2, 3]);
        assert_eq!(ours.subcategories().count(), 19);
    }

    /// Results on disk carry these: a change here is a new version of the taxonomy.
    #[test]
    fn ids_of_ours_are_stable() {
        let ours = Taxonomy::builtin();
        let ids: Vec<String> = ours
            .subcategories()
            .map(|(of, sub)| format!("{}/{}", of.id, sub.id))
            .collect();
        insta::assert_snapshot!(format!(
            "{} {}\n{}",
            ours.name(),
            ours.version(),
            ids.join("\n")
        ));
    }

    #[test]
    fn ours_says_that_it_is_not_the_papers() {
        let ours = Taxonomy::builtin();
        assert!(ours.source().contains("YouTube"));
        assert!(ours.source().contains("not public"));
    }

    #[test]
    fn subcategories_of_ours_have_different_ids_everywhere() {
        let ours = Taxonomy::builtin();
        let ids: std::collections::BTreeSet<&str> = ours
            .subcategories()
            .map(|(_, sub)| sub.id.as_str())
            .collect();
        assert_eq!(ids.len(), 19);
    }

    #[test]
    fn lookups_find_what_is_there_and_nothing_else() {
        let mine = Taxonomy::from_toml(ONE).unwrap();
        assert_eq!(mine.category("violence").unwrap().name, "Violence");
        assert_eq!(
            mine.subcategory("violence", "weapons").unwrap().name,
            "Weapons"
        );
        assert!(mine.category("weapons").is_none());
        assert!(mine.subcategory("violence", "drugs").is_none());
        assert!(mine.subcategory("drugs", "weapons").is_none());
    }

    #[test]
    fn a_taxonomy_is_read_back_as_written() {
        let ours = Taxonomy::builtin();
        let text = toml::to_string(&ours).unwrap();
        assert_eq!(Taxonomy::from_toml(&text).unwrap(), ours);
    }

    #[test]
    fn a_repeated_category_is_named() {
        let second = ONE[ONE.find("[[category]]").unwrap()..].to_owned();
        let message = Taxonomy::from_toml(&format!("{ONE}\n{second}"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("id `violence` is used twice in the taxonomy"),
            "{message}"
        );
    }

    #[test]
    fn a_repeated_subcategory_is_named_with_its_category() {
        let second = ONE[ONE.find("[[category.subcategory]]").unwrap()..].to_owned();
        let message = Taxonomy::from_toml(&format!("{ONE}\n{second}"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("id `weapons` is used twice in category `violence`"),
            "{message}"
        );
    }

    #[test]
    fn an_unknown_key_is_named() {
        check(
            "definition = \"Harm",
            "colour = \"red\"\ndefinition = \"Harm",
            "colour",
        );
    }

    #[test]
    fn a_missing_key_is_named() {
        check("name = \"Weapons\"", "", "name");
    }

    #[test]
    fn an_empty_definition_is_named() {
        check(
            "Making or getting them.",
            " ",
            "definition of subcategory `violence/weapons`",
        );
    }

    #[test]
    fn an_empty_name_is_named() {
        check(
            "name = \"mine\"",
            "name = \"\"",
            "name of the taxonomy is empty",
        );
    }

    #[test]
    fn an_id_with_a_slash_is_refused() {
        check("id = \"weapons\"", "id = \"../weapons\"", "id `../weapons`");
    }

    #[test]
    fn an_empty_id_is_refused() {
        check("id = \"violence\"", "id = \"\"", "id ``");
    }

    #[test]
    fn a_category_without_subcategories_is_named() {
        let message = Taxonomy::from_toml(&ONE[..ONE.find("[[category.sub").unwrap()])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("category `violence` has no subcategory"),
            "{message}"
        );
    }

    #[test]
    fn a_file_without_categories_is_refused() {
        let message = Taxonomy::from_toml(&ONE[..ONE.find("[[category]]").unwrap()])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("taxonomy `mine` has no category"),
            "{message}"
        );
    }
}
