//! What cannot be done is refused before anything is spent.

use crate::world::{World, run, stage, words};

/// The chain of a stage that is fine and one that is not is refused in these words; at most the recipe
/// was written.
#[track_caller]
fn refused(world: &World, second: &str, only: Option<&str>, said: &[&str]) {
    let recipe = world.recipe(&format!("{}{second}", stage("sft", "learn.jsonl", "")));
    let out = world.folder.path().join("out");
    let error = run(&recipe, &out, only, None).err().unwrap();
    let words = words(&error);
    for word in said {
        assert!(words.contains(word), "{words:?} lacks {word:?}");
    }
    let written = std::fs::read_dir(&out).into_iter().flatten();
    let written: Vec<_> = written.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        written.iter().all(|name| name == "recipe.toml"),
        "{written:?}"
    );
}

fn line(rest: &str) -> Vec<String> {
    vec![format!(
        r#"{{"id": "x", "query": "q", "answer": "a"{rest}}}"#
    )]
}

#[test]
fn a_missing_video() {
    let world = World::new();
    world.write("bad.jsonl", &line(r#", "video": "gone.mp4""#));
    let second = stage("cot", "bad.jsonl", "");
    refused(&world, &second, None, &["bad.jsonl", "line 1", "gone.mp4"]);
}

#[test]
fn a_sample_without_a_label_where_heads_learn() {
    let world = World::new();
    world.write(
        "bad.jsonl",
        &line(r#", "video": "v.mp4", "labels": {"textual": 1}"#),
    );
    let second = stage("atc", "bad.jsonl", "");
    refused(&world, &second, None, &["line 1", "`x`", "visual", "skip"]);
}

#[test]
fn a_preference_without_a_rejected_answer() {
    let world = World::new();
    world.write("bad.jsonl", &line(""));
    let second = stage("dpo", "bad.jsonl", "");
    refused(&world, &second, None, &["line 1", "`x`", "rejected"]);
}

#[test]
fn a_stage_that_the_recipe_does_not_have() {
    let world = World::new();
    let second = stage("cot", "learn.jsonl", "");
    refused(&world, &second, Some("grpo"), &["`grpo`", "sft, cot"]);
}

#[test]
fn a_reward_that_nobody_knows() {
    let world = World::new();
    let grpo = "grpo = { reward = { extra = [{ name = 'charm' }] } }";
    let second = stage("grpo", "ask.jsonl", grpo);
    refused(&world, &second, None, &["charm", "length"]);
}

#[test]
fn adapters_of_layers_that_the_model_does_not_have() {
    let world = World::new();
    let lora = "lora = { rank = 2, alpha = 4.0, targets = ['q_prj'] }";
    let second = stage("cot", "learn.jsonl", lora);
    refused(&world, &second, None, &["q_prj"]);
}

#[test]
fn a_pattern_that_freezes_nothing() {
    let world = World::new();
    let second = stage("cot", "learn.jsonl", "")
        .replace("window = 1", "window = 1, frozen = ['model.visoin.*']");
    refused(&world, &second, None, &["model.visoin.*"]);
}

#[test]
fn a_group_of_parameters_that_adapters_do_not_have() {
    let world = World::new();
    let lora = "lora = { rank = 2, alpha = 4.0, targets = ['mlp.up_proj'] }";
    let groups = "groups = [{ name = 'v', parameters = ['*.v_proj.*'], learning_rate = 1.0 }]";
    let second =
        stage("cot", "learn.jsonl", lora).replace("window = 1", &format!("window = 1, {groups}"));
    refused(&world, &second, None, &["*.v_proj.*"]);
}
