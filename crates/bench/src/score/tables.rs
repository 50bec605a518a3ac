//! Figures by category and subcategory, by language, by reference, and how calls ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;
use safety::{Language, Outcome, Sample, Subset};

use super::Scored;
use super::figures::{compared, defended};
use super::trials::Trials;
use crate::judge::Judgement;
use crate::results::{Compared, Outcomes, Row};
use crate::run::CategoryNames;
use crate::{Condition, Record};

/// Every cell of the taxonomy that has a sample, in the taxonomy's order: first a category, then its
/// parts, each subset alone.
pub(super) fn rows(trials: &Trials<'_>, taxonomy: &[CategoryNames]) -> Vec<Row> {
    let cell = |category: &CategoryNames, subcategory: Option<&String>, subset| {
        let chosen = trials.only(|sample| {
            sample.subset == subset
                && sample.category == category.id
                && subcategory.is_none_or(|id| sample.subcategory == *id)
        });
        let rates = match subset {
            _ if chosen.all.is_empty() => return None,
            Subset::HH | Subset::SH => compared(&chosen, &defended),
            Subset::SafeQ => compared(&chosen, &|judgement| {
                judgement.declined.map(|declined| !declined)
            }),
        };
        Some(Row {
            category: category.id.clone(),
            subcategory: subcategory.cloned(),
            subset,
            rates,
        })
    };
    let cells: Vec<_> = taxonomy
        .iter()
        .flat_map(|category| {
            let parts = category.subcategories.iter().map(|(id, _)| Some(id));
            let names = std::iter::once(None).chain(parts);
            names.map(move |name| (category, name))
        })
        .flat_map(|(category, name)| Subset::ALL.map(|subset| (category, name, subset)))
        .collect();
    cells
        .into_par_iter()
        .filter_map(|(category, name, subset)| cell(category, name, subset))
        .collect()
}

/// The defence of harmful queries in each language, by its code.
pub(super) fn languages(trials: &Trials<'_>) -> Vec<(Language, Compared)> {
    let is_harmful = |sample: &Sample| sample.subset.query_is_harmful();
    let harmful = trials.only(is_harmful);
    let spoken: BTreeSet<Language> = harmful.all.iter().map(|t| t.sample.language).collect();
    spoken
        .into_par_iter()
        .map(|language| {
            let chosen = harmful.only(|sample| sample.language == language);
            (language, compared(&chosen, &defended))
        })
        .collect()
}

/// Answers to safe queries that are the reference: letters and digits in order, nothing else counts.
pub(super) fn exact_match(scored: &Scored<'_>, safe: &Trials<'_>) -> Compared {
    let answers: HashMap<(&str, u32, Condition), &Record> = scored
        .records
        .iter()
        .map(|record| {
            (
                (record.sample.as_str(), record.epoch, record.condition),
                record,
            )
        })
        .collect();
    let references: HashMap<&str, String> = safe
        .all
        .iter()
        .filter_map(|trial| Some((trial.sample, trial.sample.reference.as_deref()?)))
        .map(|(sample, reference)| (sample.id.as_str(), plain(reference)))
        .collect();
    let matches = |judgement: &Judgement| {
        let reference = references.get(judgement.sample.as_str())?;
        let record = answers.get(&(
            judgement.sample.as_str(),
            judgement.epoch,
            judgement.condition,
        ))?;
        let answer = record
            .answer
            .as_deref()
            .filter(|_| record.outcome != Outcome::Error)?;
        Some(plain(safety::completion::shown(answer)) == *reference)
    };
    compared(&safe.only(|sample| sample.reference.is_some()), &matches)
}

/// Lower-case words with single spaces between, punctuation left out.
fn plain(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    kept.to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Calls by condition and outcome.
pub(super) fn outcomes(records: &[Record]) -> Vec<Outcomes> {
    Condition::ALL
        .into_iter()
        .map(|condition| {
            let mut counts = BTreeMap::new();
            for record in records
                .iter()
                .filter(|record| record.condition == condition)
            {
                *counts.entry(record.outcome).or_default() += 1;
            }
            Outcomes { condition, counts }
        })
        .filter(|outcomes| !outcomes.counts.is_empty())
        .collect()
}
