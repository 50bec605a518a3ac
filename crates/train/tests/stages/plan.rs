//! What a plan foretells is what a run does.

use std::path::Path;

use train::events::Event;
use train::recipe::Recipe;

use crate::world::{World, run, stage};

/// Compares the plan of each stage with its run, which is in `out`.
fn foretold(world: &World, recipe: &Recipe) {
    let cache = world.folder.path().join("plan");
    let plans = train::plan::plan(recipe, &cache).unwrap();
    let out = world.folder.path().join("out");
    run(recipe, &out, None, None).unwrap();
    for (index, plan) in plans.iter().enumerate() {
        let name = &recipe.stages[index].name;
        let (start, steps) = told(&out.join(format!("{}-{name}", index + 1)));
        assert_eq!(plan.trained, start.parameters, "{name}");
        assert_eq!(plan.steps, start.steps, "{name}");
        assert_eq!(plan.steps, steps.len(), "{name}");
        assert_eq!(plan.records, start.samples, "{name}");
        let tokens: usize = steps.iter().map(|step| step.tokens).sum();
        assert!(
            plan.tokens >= tokens as u64,
            "{name}: {plan:?}, read {tokens}"
        );
        assert!(plan.trained <= plan.parameters, "{plan:?}");
        if !name.starts_with("grpo") {
            // No video here has frames to leave out: the bound is the number.
            assert_eq!(plan.tokens, tokens as u64, "{name}");
        }
    }
}

fn told(folder: &Path) -> (train::events::RunStart, Vec<train::events::Step>) {
    let mut events = train::events::read(folder).unwrap().into_iter();
    let Some(Event::RunStart(start)) = events.next() else {
        panic!("a run begins with its start")
    };
    let steps = events.filter_map(|event| match event {
        Event::Step(step) => Some(step),
        _ => None,
    });
    (start, steps.collect())
}

#[test]
fn whole_weights_and_alarms() {
    let world = World::new();
    let grpo = "grpo = { group = 2, max_tokens = 6 }";
    let recipe = world.recipe(
        &[
            stage("sft", "learn.jsonl", ""),
            stage("at-sft", "learn.jsonl", ""),
            stage("atc", "learn.jsonl", "alarm = { train = 'heads' }"),
            stage("grpo", "ask.jsonl", grpo),
            stage("dpo", "pairs.jsonl", ""),
        ]
        .concat(),
    );
    foretold(&world, &recipe);
}

#[test]
fn adapters() {
    let world = World::new();
    let lora = "lora = { rank = 3, alpha = 6.0, targets = ['q_proj', 'mlp.up_proj'] }";
    let recipe = world.recipe(&stage("atc", "learn.jsonl", lora));
    foretold(&world, &recipe);
}

#[test]
fn prompts_that_are_drawn_again() {
    let world = World::new();
    let grpo = "grpo = { group = 2, max_tokens = 6, zero_variance = { resample = 2 } }";
    foretold(&world, &world.recipe(&stage("grpo", "ask.jsonl", grpo)));
}

/// The micro-batches that a token budget cuts depend on the order of the samples, and with them the steps.
#[test]
fn epochs_of_micro_batches_cut_by_tokens() {
    let world = World::new();
    let lines: Vec<String> = (0..40)
        .map(|i| {
            let answer = "It is. ".repeat(1 + i * 7 % 11);
            format!(r#"{{"id": "t{i}", "query": "q", "answer": "{answer}"}}"#)
        })
        .collect();
    world.write("texts.jsonl", &lines);
    for seed in 0..3 {
        let text = stage("sft", "texts.jsonl", "")
            .replace("length = { steps = 2 }", "length = { epochs = 3 }")
            .replace("batch = { samples = 1 }", "batch = { tokens = 120 }")
            .replace("window = 1", &format!("window = 1, seed = {seed}"))
            .replace("'sft'\nkind", &format!("'sft{seed}'\nkind"));
        let recipe = world.recipe(&text);
        foretold(&world, &recipe);
        std::fs::remove_dir_all(world.folder.path().join("out")).unwrap();
    }
}
