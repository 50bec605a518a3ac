//! Which parameters learn, how fast, and which of them decay: rules over checkpoint names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A checkpoint name in which each `*` stands for any run of characters:
/// `model.vision_model.*`, `*.bias`, `*norm*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().expect("split gives one piece or more");
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let mut pieces = pieces.peekable();
        if pieces.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                return rest.ends_with(piece);
            }
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        true
    }
}

/// Parameters that learn at their own rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// What the events call it.
    pub name: String,
    /// A parameter that fits any of these belongs here, unless an earlier group took it.
    pub parameters: Vec<Pattern>,
    /// At the top of the schedule.
    pub learning_rate: f64,
    /// For those parameters that decay; absent means the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
}

/// All rules of a recipe: the frozen ones win, then the groups in order, then the group `default`.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Never trained.
    pub frozen: &'a [Pattern],
    /// Trained, but without weight decay.
    pub no_decay: &'a [Pattern],
    /// With rates of their own.
    pub groups: &'a [GroupRule],
    /// Of the group `default`.
    pub learning_rate: f64,
    /// Of the group `default`, and of groups that say nothing.
    pub weight_decay: f64,
}

/// How one parameter learns.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Its group's name.
    pub group: String,
    /// At the top of the schedule.
    pub learning_rate: f64,
    /// Decoupled, a share of the weight for each unit of learning rate.
    pub weight_decay: f64,
}

/// The name of the group of parameters that no rule takes.
pub const DEFAULT_GROUP: &str = "default";

impl Rules<'_> {
    /// The parameters that learn, of all that a checkpoint has. A frozen pattern or a group's that
    /// fits no name is an error: it would silently do nothing.
    pub fn assign<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<BTreeMap<String, Assignment>, Error> {
        let names: Vec<&str> = names.into_iter().collect();
        self.refuse_unmatched(&names)?;
        Ok(names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.assignment(name)?)))
            .collect())
    }

    /// How this parameter learns; nothing if it is frozen.
    pub fn assignment(&self, name: &str) -> Option<Assignment> {
        let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        if fits(self.frozen) {
            return None;
        }
        let rule = self.groups.iter().find(|rule| fits(&rule.parameters));
        let decay = rule
            .and_then(|rule| rule.weight_decay)
            .unwrap_or(self.weight_decay);
        Some(Assignment {
            group: rule.map_or(DEFAULT_GROUP, |rule| &rule.name).to_owned(),
            learning_rate: rule.map_or(self.learning_rate, |rule| rule.learning_rate),
            weight_decay: if fits(self.no_decay) { 0.0 } else { decay },
        })
    }

    fn refuse_unmatched(&self, names: &[&str]) -> Result<(), Error> {
        let frozen = self
            .frozen
            .iter()
            .map(|pattern| ("frozen".to_owned(), pattern));
        let grouped = self.groups.iter().enumerate().flat_map(|(i, rule)| {
            rule.parameters
                .iter()
                .map(move |pattern| (format!("groups[{i}].parameters"), pattern))
        });
        for (key, pattern) in frozen.chain(grouped) {
            if !names.iter().any(|name| pattern.matches(name)) {
                return Err(Error::UnmatchedPattern {
                    key,
                    pattern: pattern.0.clone(),
                    count: names.len(),
                    first: names.first().copied().unwrap_or("none").to_owned(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, want: bool) {
        assert_eq!(
            Pattern(pattern.into()).matches(name),
            want,
            "{pattern} on {name}"
        );
    }

    #[test]
    fn a_pattern_without_a_star_is_the_whole_name() {
        check("lm_head.weight", "lm_head.weight", true);
        check("lm_head", "lm_head.weight", false);
    }

    #[test]
    fn a_star_at_the_end_is_a_prefix() {
        check(
            "model.vision_model.*",
            "model.vision_model.layers.0.q_proj.weight",
            true,
        );
        check("model.vision_model.*", "model.visionary", false);
    }

    #[test]
    fn a_star_at_the_front_is_a_suffix() {
        check("*.bias", "a.bias", true);
        check("*.bias", "a.bias.b", false);
    }

    #[test]
    fn stars_on_both_sides_find_a_piece() {
        check("*norm*", "layers.0.input_layernorm.weight", true);
        check("*norm*", "layers.0.q_proj.weight", false);
    }

    #[test]
    fn pieces_never_overlap() {
        check("ab*ba", "aba", false);
        check("ab*ba", "abba", true);
        check("*ab*b", "ab", false);
    }

    #[test]
    fn one_star_is_everything() {
        check("*", "", true);
        check("*", "anything", true);
    }

    fn rules<'a>(frozen: &'a [Pattern], groups: &'a [GroupRule]) -> Rules<'a> {
        Rules {
            frozen,
            no_decay: &[],
            groups,
            learning_rate: 1.0,
            weight_decay: 0.5,
        }
    }

    #[test]
    fn frozen_wins_over_groups_and_groups_over_the_default() {
        let frozen = [Pattern("a.*".into())];
        let groups = [GroupRule {
            name: "heads".into(),
            parameters: vec![Pattern("*.w".into())],
            learning_rate: 2.0,
            weight_decay: None,
        }];
        let plan = rules(&frozen, &groups).assign(["a.w", "b.w", "c"]).unwrap();
        let found: Vec<_> = plan
            .iter()
            .map(|(n, a)| (n.as_str(), a.group.as_str(), a.learning_rate))
            .collect();
        assert_eq!(found, [("b.w", "heads", 2.0), ("c", DEFAULT_GROUP, 1.0)]);
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_refused_by_name() {
        let frozen = [Pattern("vision.*".into())];
        let error = rules(&frozen, &[])
            .assign(["a", "b"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`frozen`") && error.contains("`vision.*`"),
            "{error}"
        );
    }

    #[test]
    fn parameters_named_in_no_decay_keep_their_rate_and_lose_their_decay() {
        let no_decay = [Pattern("*.bias".into())];
        let rules = Rules {
            no_decay: &no_decay,
            ..rules(&[], &[])
        };
        assert_eq!(rules.assignment("a.bias").unwrap().weight_decay, 0.0);
        assert_eq!(rules.assignment("a.weight").unwrap().weight_decay, 0.5);
    }
}
