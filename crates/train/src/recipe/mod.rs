//! What is to be done: one typed value from one TOML file. A recipe is a list of [`Stage`]s, each of
//! which starts from the weights of the one before it, or of the one that it names.
//!
//! Everything is checked here, before anything is spent: an error names the line, the key, the value
//! and the remedy.

mod grpo;
mod line;
mod refusals;
mod stage;
mod training;

pub use grpo::{Grpo, Overlong, Reference, ZeroVariance};
pub use stage::{AlarmParts, AlarmStage, Atc, Frames, Kind, Stage, Take, Unlabelled};
pub use training::{Length, Training, Warmup};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

/// The name that stands for the checkpoint that a recipe begins with.
pub const START: &str = "start";

/// A chain of stages, or a tree of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Of everything random in all stages, together with each stage's own.
    #[serde(default)]
    pub seed: u64,
    /// Checkpoint folder, relative to the recipe's file.
    pub model: PathBuf,
    /// In the order in which they run.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

impl Recipe {
    /// Reads and checks a file. Paths in it are relative to `at`, or to where it lies.
    pub fn open(path: &Path, at: Option<&Path>) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        })?;
        let mut recipe = Self::from_toml(&text).map_err(|error| Error::InFile {
            path: path.to_owned(),
            source: Box::new(error),
        })?;
        let folder = match at.or(path.parent()) {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Paths are compared when a run is taken up again, perhaps from another working directory.
        let folder = folder.canonicalize().map_err(|source| Error::Io {
            doing: "find",
            path: folder.to_owned(),
            source,
        })?;
        recipe.relative_to(&folder);
        Ok(recipe)
    }

    /// Reads and checks a recipe; what it does not say has its default.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let recipe: Self = toml::from_str(text).map_err(Error::RecipeSyntax)?;
        recipe.check().map_err(|error| match error {
            Error::Recipe {
                key, value, remedy, ..
            } => Error::Recipe {
                line: line::of(text, &key),
                key,
                value,
                remedy,
            },
            other => other,
        })?;
        Ok(recipe)
    }

    /// Refuses what makes no sense, before anything is read.
    pub fn check(&self) -> Result<(), Error> {
        if self.stages.is_empty() {
            return Err(refused(
                "stage",
                "no stage",
                "write [[stage]] at least once",
            ));
        }
        for (i, stage) in self.stages.iter().enumerate() {
            let within = |error| match error {
                Error::Recipe {
                    line,
                    key,
                    value,
                    remedy,
                } => Error::Recipe {
                    line,
                    key: format!("stage[{i}].{key}"),
                    value,
                    remedy,
                },
                other => other,
            };
            stage.check().map_err(within)?;
            let earlier = &self.stages[..i];
            if earlier.iter().any(|other| other.name == stage.name) {
                let remedy = "give every stage a name of its own";
                return Err(within(refused(
                    "name",
                    &format!("`{}`", stage.name),
                    remedy,
                )));
            }
            if let Some(from) = &stage.from
                && from != START
                && !earlier.iter().any(|other| other.name == *from)
            {
                let remedy = "name an earlier stage, or `start`";
                return Err(within(refused("from", &format!("`{from}`"), remedy)));
            }
        }
        Ok(())
    }

    /// The stage that `stage[index]` continues; none if it continues the starting checkpoint.
    pub fn parent(&self, index: usize) -> Option<usize> {
        match self.stages[index].from.as_deref() {
            Some(START) => None,
            Some(name) => self.stages.iter().position(|stage| stage.name == name),
            None => index.checked_sub(1),
        }
    }

    /// Whether any stage needs alarm tokens in its prompts.
    pub fn uses_alarm(&self) -> bool {
        self.stages.iter().any(|stage| stage.alarm().is_some())
    }

    /// Has its paths begin at a folder.
    pub fn relative_to(&mut self, folder: &Path) {
        self.model = folder.join(&self.model);
        for take in self.stages.iter_mut().flat_map(|stage| &mut stage.data) {
            take.file = folder.join(&take.file);
        }
    }
}

/// A value that makes no sense, by its key.
pub(crate) fn refused(key: &str, value: &str, remedy: &'static str) -> Error {
    Error::Recipe {
        line: None,
        key: key.to_owned(),
        value: value.to_owned(),
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: &str = "[[stage]]\nname = 'a'\nkind = 'sft'\ndata = [{ file = 'a.jsonl' }]\n";

    fn recipe(rest: &str) -> String {
        format!("model = 'base'\n\n{STAGE}{rest}")
    }

    #[track_caller]
    fn refused(text: &str, words: &[&str]) {
        let error = Recipe::from_toml(text).expect_err(text);
        let mut said = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            said += &format!(": {source}");
        }
        for word in words {
            assert!(said.contains(word), "{said:?} lacks {word:?}");
        }
    }

    #[test]
    fn a_short_recipe_is_enough() {
        let recipe = Recipe::from_toml(&recipe("")).unwrap();
        assert_eq!(recipe.stages[0].training, Training::default());
    }

    #[test]
    fn a_recipe_survives_writing_and_reading() {
        let text = recipe(
            "training = { length = { steps = 4 } }\n[[stage]]\nname = 'g'\nkind = 'grpo'\ndata = [{ file = 'b', take = 3 }]\ngrpo = { group = 4, reference = { sync = 10 } }\nalarm = { train = 'nothing' }\n",
        );
        let recipe = Recipe::from_toml(&text).unwrap();
        let written = toml::to_string(&recipe).unwrap();
        assert_eq!(Recipe::from_toml(&written).unwrap(), recipe, "{written}");
    }

    #[test]
    fn a_typing_error_is_named_with_its_line() {
        refused(&recipe("kindd = 'sft'\n"), &["line 7", "kindd"]);
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named_with_its_line() {
        refused(
            &recipe("\n[stage.training]\nlearning_rate = -1.0\n"),
            &[
                "line 9",
                "stage[0].training.learning_rate",
                "-1",
                "0 or more",
            ],
        );
    }

    #[test]
    fn a_group_of_one_is_refused() {
        refused(
            &recipe(
                "[[stage]]\nname = 'g'\nkind = 'grpo'\ndata = [{ file = 'b' }]\ngrpo = { group = 1 }\n",
            ),
            &["line 11", "stage[1].grpo.group", "two"],
        );
    }

    #[test]
    fn settings_of_another_kind_are_refused() {
        refused(
            &recipe("dpo = { beta = 0.1 }\n"),
            &["line 7", "stage[0].dpo", "sft"],
        );
    }

    #[test]
    fn a_stage_continues_one_before_it() {
        refused(&recipe("from = 'later'\n"), &["line 7", "`later`"]);
    }

    #[test]
    fn a_stage_continues_its_predecessor_unless_it_says_otherwise() {
        let more = |name: &str, from: &str| {
            format!("[[stage]]\nname = '{name}'\nkind = 'sft'\ndata = [{{ file = 'a' }}]\n{from}")
        };
        let text = recipe(
            &[
                more("b", ""),
                more("c", "from = 'a'\n"),
                more("d", "from = 'start'"),
            ]
            .concat(),
        );
        let recipe = Recipe::from_toml(&text).unwrap();
        let parents: Vec<_> = (0..4).map(|i| recipe.parent(i)).collect();
        assert_eq!(parents, [None, Some(0), Some(0), None]);
    }

    #[test]
    fn two_stages_of_one_name_are_refused() {
        refused(&recipe(STAGE), &["stage[1].name", "`a`"]);
    }

    #[test]
    fn a_recipe_is_the_same_however_its_file_is_called() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, recipe("")).unwrap();
        let other = folder.path().join("inner/../recipe.toml");
        let opened = Recipe::open(&path, None).unwrap();
        assert_eq!(opened, Recipe::open(&other, None).unwrap());
        assert!(opened.model.is_absolute() && opened.stages[0].data[0].file.is_absolute());
    }

    #[test]
    fn no_stage_is_refused() {
        refused("model = 'base'\nstage = []\n", &["no stage"]);
    }
}
