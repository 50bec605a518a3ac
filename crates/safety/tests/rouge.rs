//! Stems and scores are those of NLTK and `rouge-score`. The files are from `fixtures/safety_rouge.py`.

use proptest::prelude::*;

use safety::rouge::{Rouge, Score, rouge_mean, tokens};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    reference: String,
    hypothesis: String,
    rouge1: [f64; 3],
    rouge2: [f64; 3],
    #[serde(rename = "rougeL")]
    rouge_l: [f64; 3],
    mean: f64,
}

fn numbers(score: Score) -> [f64; 3] {
    [score.precision, score.recall, score.f]
}

#[test]
fn scores_are_those_of_rouge_score_to_the_last_bit() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("goldens/rouge.json")).unwrap();
    assert!(cases.len() > 60, "{}", cases.len());
    for case in cases {
        let found = Rouge::of(&case.reference, &case.hypothesis);
        assert_eq!(numbers(found.rouge1), case.rouge1, "1 of {}", case.name);
        assert_eq!(numbers(found.rouge2), case.rouge2, "2 of {}", case.name);
        assert_eq!(numbers(found.rouge_l), case.rouge_l, "L of {}", case.name);
        let mean = rouge_mean(&case.reference, &case.hypothesis);
        assert_eq!(mean, case.mean, "mean of {}", case.name);
    }
}

#[test]
fn stems_are_those_of_nltk() {
    let stems: Vec<(String, String)> =
        serde_json::from_str(include_str!("goldens/stems.json")).unwrap();
    assert!(stems.len() >= 2000, "{}", stems.len());
    for (word, stem) in stems {
        assert_eq!(tokens(&word), [stem], "{word}");
    }
}

#[test]
fn words_of_three_letters_stay_whole() {
    assert_eq!(tokens("was bus owed"), ["was", "bus", "owe"]);
}

#[test]
fn other_scripts_have_no_words() {
    assert!(tokens("你好，世界 привет").is_empty());
}

proptest! {
    #[test]
    fn any_two_texts_have_scores_in_range(a in ".{0,60}", b in "[a-c ]{0,40}") {
        let mean = rouge_mean(&a, &b);
        prop_assert!((0.0..=1.0).contains(&mean));
    }

    #[test]
    fn precision_of_one_way_is_recall_of_the_other(a in "[a-c ]{0,30}", b in "[a-c ]{0,30}") {
        let (there, back) = (Rouge::of(&a, &b), Rouge::of(&b, &a));
        prop_assert_eq!(there.rouge_l.precision, back.rouge_l.recall);
        prop_assert_eq!(there.rouge2.recall, back.rouge2.precision);
    }

    #[test]
    fn stems_of_any_letters_are_words(word in "[a-z0-9]{1,12}") {
        let stems = tokens(&word);
        prop_assert!(stems.len() == 1 && !stems[0].is_empty());
    }
}
