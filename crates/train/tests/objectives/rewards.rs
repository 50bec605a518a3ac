use std::collections::BTreeMap;
use std::error::Error as _;

use model::generate::Stop;
use proptest::prelude::*;
use serde::Deserialize;
use train::data::Record;
use train::reward::settings::RewardSettings;
use train::reward::total::{Rewards, Total};
use train::reward::{Judged, NAMED, Reward, named};
use train::{BoxError, Error};

use crate::golden::read;

#[derive(Deserialize)]
struct Case {
    record: Record,
    completion: String,
    settings: RewardSettings,
    parts: BTreeMap<String, f64>,
    alpha: Option<f64>,
    reward: f64,
}

fn judged<'a>(record: &'a Record, completion: &'a str) -> Judged<'a> {
    Judged {
        record,
        completion,
        tokens: 50,
        max_tokens: 100,
        stop: Stop::Token,
    }
}

fn rewards(toml: &str) -> Result<Rewards, Error> {
    Rewards::new(&toml::from_str(toml).unwrap(), Vec::new())
}

fn record(json: &str) -> Record {
    serde_json::from_str(json).unwrap()
}

const REFERENCE: &str = r#"{"id": "s7", "query": "q", "answer": "<think>a</think><answer>b</answer><vidType>1</vidType><textType>0</textType>"}"#;
const COMPLETION: &str =
    "<think>a</think><answer>b</answer><vidType>1</vidType><textType>0</textType>";

#[test]
fn rewards_are_those_of_the_formulas() {
    let cases: Vec<Case> = read("rewards.json");
    assert!(cases.len() > 50, "{}", cases.len());
    for case in cases {
        let rewards = Rewards::new(&case.settings, Vec::new()).unwrap();
        let rollout = judged(&case.record, &case.completion);
        let found = rewards.total(&rollout).unwrap();
        let name = format!("{:?} for {:?}", case.completion, case.record.answer);
        let close = |found: f32, want: f64| (f64::from(found) - want).abs() < 1e-6;
        assert!(found.parts.keys().eq(case.parts.keys()), "{name}");
        for (part, want) in &case.parts {
            assert!(
                close(found.parts[part], *want),
                "{part} is {}, not {want}: {name}",
                found.parts[part]
            );
        }
        assert!(close(found.reward, case.reward), "{found:?}: {name}");
        match (found.alpha, case.alpha) {
            (Some(found), Some(want)) => assert!(close(found, want), "{name}"),
            (found, want) => assert!(found.is_none() && want.is_none(), "{name}"),
        }
    }
}

#[test]
fn the_best_safe_completion_earns_three_and_a_tenth() {
    let total = rewards("")
        .unwrap()
        .total(&judged(&record(REFERENCE), COMPLETION))
        .unwrap();
    // One word has no pair of words, so that rouge-2 is 0.
    assert!((total.reward - (3.0 + 0.1 * 2.0 / 3.0)).abs() < 1e-6);
}

#[track_caller]
fn refused(record: &Record, completion: &str, reward: &str, why: &str) {
    let error = rewards("")
        .unwrap()
        .total(&judged(record, completion))
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&record.id) && text.contains(reward), "{text}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains(why), "{cause}");
}

#[test]
fn a_reference_without_an_answer_is_an_error_that_names_the_sample() {
    let record = record(
        r#"{"id": "s7", "query": "q", "answer": "b", "labels": {"visual": 1, "textual": 0}}"#,
    );
    refused(&record, COMPLETION, "rouge", "no <answer>");
}

#[test]
fn a_reference_without_a_label_is_an_error_that_names_it() {
    let record = record(
        r#"{"id": "s7", "query": "q", "answer": "<answer>b</answer>", "labels": {"visual": 1}}"#,
    );
    refused(&record, COMPLETION, "textual", "no textual label");
}

#[test]
fn a_missing_tag_on_both_sides_is_not_an_agreement() {
    let record = record(
        r#"{"id": "s7", "query": "q", "answer": "<answer>b</answer>", "labels": {"visual": 1, "textual": 0}}"#,
    );
    let total = rewards("")
        .unwrap()
        .total(&judged(&record, "<answer>b</answer>"))
        .unwrap();
    assert_eq!((total.parts["visual"], total.parts["textual"]), (0.0, 0.0));
}

#[test]
fn a_reference_that_is_no_number_is_an_error() {
    for task in ["numerical", "regression"] {
        let json = format!(
            r#"{{"id": "s7", "query": "q", "task": "{task}", "answer": "<answer>nan</answer>"}}"#
        );
        refused(
            &record(&json),
            "<answer>nan</answer>",
            "task",
            "`nan` is not a number",
        );
    }
}

#[test]
fn a_completion_that_says_nan_is_no_number() {
    let record = record(
        r#"{"id": "s7", "query": "q", "task": "numerical", "answer": "<answer>1</answer>"}"#,
    );
    for said in ["nan", "inf", "1e999", "-"] {
        let text = format!("<answer>{said}</answer>");
        assert_eq!(
            rewards("")
                .unwrap()
                .total(&judged(&record, &text))
                .unwrap()
                .parts["task"],
            0.0
        );
    }
}

#[test]
fn labels_of_the_record_come_first() {
    let mut record = record(REFERENCE);
    record.labels = serde_json::from_str(r#"{"visual": 0, "textual": 0}"#).unwrap();
    let total = rewards("")
        .unwrap()
        .total(&judged(&record, COMPLETION))
        .unwrap();
    assert_eq!((total.parts["visual"], total.parts["textual"]), (0.0, 1.0));
}

#[test]
fn labels_that_count_for_nothing_are_not_needed() {
    let toml = "alpha = { fixed = 0.3 }\nvisual_weight = 0.0\ntextual_weight = 0.0";
    let record = record(r#"{"id": "s7", "query": "q", "answer": "<answer>a b</answer>"}"#);
    let total = rewards(toml)
        .unwrap()
        .total(&judged(&record, "<answer>a b</answer>"))
        .unwrap();
    assert_eq!(total.parts.keys().collect::<Vec<_>>(), ["format", "rouge"]);
    assert_eq!((total.alpha, total.reward), (Some(0.3), 0.3));
}

#[test]
fn a_fixed_alpha_does_not_adapt() {
    let found = rewards("alpha = { fixed = 0.3 }").unwrap();
    for completion in [COMPLETION, ""] {
        let total = found
            .total(&judged(&record(REFERENCE), completion))
            .unwrap();
        assert_eq!(total.alpha, Some(0.3));
    }
}

#[test]
fn a_misspelt_setting_is_refused() {
    let error = toml::from_str::<RewardSettings>("visual_wieght = 1.0").unwrap_err();
    assert!(error.to_string().contains("visual_wieght"), "{error}");
}

#[test]
fn settings_survive_writing_and_reading() {
    let text = r#"
        alpha = { min = 0.2, max = 0.4 }
        extra = [{ name = "length", weight = 0.5 }]
        http = [{ name = "judge", url = "http://127.0.0.1:9/score" }]
    "#;
    let settings: RewardSettings = toml::from_str(text).unwrap();
    assert_eq!(
        (settings.http[0].weight, settings.http[0].timeout_seconds),
        (1.0, 60.0)
    );
    let written = toml::to_string(&settings).unwrap();
    assert_eq!(
        toml::from_str::<RewardSettings>(&written).unwrap(),
        settings
    );
}

#[test]
fn every_named_reward_is_there_under_its_name() {
    for name in NAMED {
        assert_eq!(named(name).unwrap().name(), name);
    }
    assert!(named("lenght").is_none());
}

#[track_caller]
fn refused_settings(toml: &str, words: &[&str]) {
    let error = rewards(toml).err().expect("it is refused").to_string();
    for word in words {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn an_unknown_extra_reward_is_refused_with_the_known_ones() {
    let known: Vec<&str> = ["lenght"].into_iter().chain(NAMED).collect();
    refused_settings(r#"extra = [{ name = "lenght" }]"#, &known);
}

#[test]
fn a_reward_twice_is_refused() {
    refused_settings(
        r#"extra = [{ name = "length" }, { name = "length" }]"#,
        &["length", "once"],
    );
}

#[test]
fn an_endpoint_that_nothing_calls_is_refused() {
    refused_settings(
        r#"http = [{ name = "judge", url = "http://127.0.0.1:9" }]"#,
        &["judge"],
    );
}

#[test]
fn a_weight_that_is_no_number_is_refused() {
    refused_settings("visual_weight = nan", &["visual_weight"]);
}

#[track_caller]
fn length(tokens: usize, want: f32) {
    let record = record(REFERENCE);
    let rollout = Judged {
        tokens,
        ..judged(&record, COMPLETION)
    };
    let score = named("length").unwrap().score(&rollout).unwrap();
    assert!((score - want).abs() < 1e-6, "{score}");
}

#[test]
fn a_completion_well_below_the_limit_is_not_punished() {
    length(80, 0.0);
}

#[test]
fn punishment_grows_in_the_last_fifth() {
    length(90, -0.5);
}

#[test]
fn a_completion_at_the_limit_is_punished_in_full() {
    length(100, -1.0);
}

/// Says what it was made to say.
struct Fixed(&'static str, Result<f32, &'static str>);

impl Reward for Fixed {
    fn name(&self) -> &str {
        self.0
    }

    fn score(&self, _: &Judged<'_>) -> Result<f32, BoxError> {
        self.1.map_err(BoxError::from)
    }
}

fn with_judge(score: Result<f32, &'static str>) -> Result<Total, Error> {
    let settings = r#"http = [{ name = "judge", url = "http://127.0.0.1:9", weight = 2.0 }]"#;
    let settings = toml::from_str(settings).unwrap();
    let rewards = Rewards::new(&settings, vec![Box::new(Fixed("judge", score))])?;
    rewards.total(&judged(&record(REFERENCE), COMPLETION))
}

#[test]
fn an_injected_reward_is_added_with_its_weight() {
    let plain = rewards("")
        .unwrap()
        .total(&judged(&record(REFERENCE), COMPLETION))
        .unwrap();
    let judged = with_judge(Ok(0.25)).unwrap();
    assert_eq!(judged.parts["judge"], 0.25);
    assert!((judged.reward - plain.reward - 0.5).abs() < 1e-6);
}

#[test]
fn a_judge_out_of_reach_is_an_error() {
    let error = with_judge(Err("connection refused")).unwrap_err();
    assert!(
        error.to_string().contains("`judge` of sample s7"),
        "{error}"
    );
}

#[test]
fn a_score_that_is_no_number_is_an_error() {
    let error = with_judge(Ok(f32::NAN)).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("NaN"));
}

proptest! {
    #[test]
    fn any_completion_has_a_reward(
        text in "(<think>|</think>|<answer>|</answer>|<vidType>|</vidType>|<textType>|</textType>|[ab01 .\n]|\\PC){0,20}"
    ) {
        let total = rewards("").unwrap().total(&judged(&record(REFERENCE), &text)).unwrap();
        prop_assert!((0.0..=3.5).contains(&total.reward));
    }
}
