//! How much of a reference's wording a text has: ROUGE-1, ROUGE-2 and ROUGE-L (Lin, 2004), number for
//! number those of Google's `rouge-score` with its stemmer on.

mod porter;

use std::collections::HashMap;

/// One of the three measures, each in 0..=1; all 0 where one of the texts has nothing to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Share of the hypothesis that is in the reference.
    pub precision: f64,
    /// Share of the reference that is in the hypothesis.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f: f64,
}

impl Score {
    fn new(common: usize, hypothesis: usize, reference: usize) -> Self {
        let precision = common as f64 / hypothesis.max(1) as f64;
        let recall = common as f64 / reference.max(1) as f64;
        let f = if common > 0 {
            2.0 * precision * recall / (precision + recall)
        } else {
            0.0
        };
        Self {
            precision,
            recall,
            f,
        }
    }
}

/// The three measures of one pair of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rouge {
    /// Of words.
    pub rouge1: Score,
    /// Of pairs of neighbouring words.
    pub rouge2: Score,
    /// Of the longest common subsequence of words.
    pub rouge_l: Score,
}

impl Rouge {
    /// Of a hypothesis against its reference. Time grows with the product of their lengths.
    pub fn of(reference: &str, hypothesis: &str) -> Self {
        let (reference, hypothesis) = (tokens(reference), tokens(hypothesis));
        Self {
            rouge1: shared(&reference, &hypothesis, 1),
            rouge2: shared(&reference, &hypothesis, 2),
            rouge_l: Score::new(
                longest_common_subsequence(&reference, &hypothesis),
                hypothesis.len(),
                reference.len(),
            ),
        }
    }

    /// Mean of the three F-measures.
    pub fn mean(&self) -> f64 {
        (self.rouge1.f + self.rouge2.f + self.rouge_l.f) / 3.0
    }
}

/// Mean of the F-measures of ROUGE-1, ROUGE-2 and ROUGE-L, in 0..=1.
pub fn rouge_mean(reference: &str, hypothesis: &str) -> f64 {
    Rouge::of(reference, hypothesis).mean()
}

/// The words that are compared: runs of ASCII letters and digits of the lower-cased text, those of
/// more than three characters stemmed. Other scripts have none, as in the reference.
pub fn tokens(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| match word.len() {
            ..=3 => word.to_owned(),
            _ => porter::stem(word),
        })
        .collect()
}

/// By the `n`-grams of both, each counted as often as it is in both.
fn shared(reference: &[String], hypothesis: &[String], n: usize) -> Score {
    let mut left: HashMap<&[String], usize> = HashMap::new();
    for gram in reference.windows(n) {
        *left.entry(gram).or_default() += 1;
    }
    let mut common = 0;
    for gram in hypothesis.windows(n) {
        if let Some(count) = left.get_mut(gram)
            && *count > 0
        {
            *count -= 1;
            common += 1;
        }
    }
    let count = |words: &[String]| (words.len() + 1).saturating_sub(n);
    Score::new(common, count(hypothesis), count(reference))
}

/// Its length. Holds one row of the table.
fn longest_common_subsequence(reference: &[String], hypothesis: &[String]) -> usize {
    let mut row = vec![0; hypothesis.len() + 1];
    for word in reference {
        let mut diagonal = 0;
        for (i, other) in hypothesis.iter().enumerate() {
            let above = row[i + 1];
            row[i + 1] = if word == other {
                diagonal + 1
            } else {
                above.max(row[i])
            };
            diagonal = above;
        }
    }
    row[hypothesis.len()]
}
