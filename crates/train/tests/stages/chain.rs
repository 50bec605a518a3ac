//! Stages one after the other.

use std::path::Path;

use candle_core::{DType, Device};
use model::tokenizer::{TEXTUAL_ALARM, VISUAL_ALARM};
use model::{Alarm, Tokenizer, VideoLlama3};

use crate::world::{World, checkpoint, run, same, stage, words};

fn all_stages(world: &World) -> train::recipe::Recipe {
    let grpo = "grpo = { group = 3, max_tokens = 8, reward = { http = [{ name = 'judge', url = 'unused' }] } }";
    world.recipe(
        &[
            stage("at-sft", "learn.jsonl", ""),
            stage("atc", "learn.jsonl", "recompute = true"),
            stage("grpo", "ask.jsonl", grpo),
            stage("dpo", "pairs.jsonl", "from = 'at-sft'"),
        ]
        .concat(),
    )
}

fn is_model(folder: &Path) -> bool {
    VideoLlama3::open(folder, DType::F32, &Device::Cpu).is_ok()
}

#[test]
fn a_chain_stopped_in_any_stage_ends_the_same() {
    let world = World::new();
    let recipe = all_stages(&world);
    let out = |name: &str| world.folder.path().join(name);
    let whole = run(&recipe, &out("whole"), None, None).unwrap();
    assert_eq!(whole.ran, [0, 1, 2, 3]);
    assert_eq!(whole.model.unwrap(), out("whole").join("4-dpo/model"));
    for stage in 0..4 {
        let parts = out(&format!("stopped-{stage}"));
        let done = run(&recipe, &parts, None, Some((stage, 1))).unwrap();
        assert!(done.model.is_none());
        let rest = run(&recipe, &parts, None, None).unwrap();
        assert_eq!(rest.kept, (0..stage).collect::<Vec<_>>());
        assert_eq!(rest.ran, (stage..4).collect::<Vec<_>>());
        same(&parts, &out("whole"));
    }
}

#[test]
fn a_finished_chain_is_kept_as_it_is() {
    let world = World::new();
    let recipe = world.recipe(&stage("sft", "learn.jsonl", ""));
    let out = world.folder.path().join("out");
    let first = run(&recipe, &out, None, None).unwrap();
    let before = crate::world::files(&out);
    let again = run(&recipe, &out, None, None).unwrap();
    assert_eq!((again.kept, again.ran), (vec![0], vec![]));
    assert_eq!(again.model, first.model);
    assert!(before == crate::world::files(&out));
}

/// The loop was done and the process killed before the model had its name.
#[test]
fn a_model_that_was_not_exported_yet_is_exported_without_another_step() {
    let world = World::new();
    let recipe = world.recipe(&stage("sft", "learn.jsonl", ""));
    let (out, whole) = (
        world.folder.path().join("out"),
        world.folder.path().join("whole"),
    );
    run(&recipe, &whole, None, None).unwrap();
    run(&recipe, &out, None, None).unwrap();
    let run_folder = out.join("1-sft");
    std::fs::rename(run_folder.join("model"), run_folder.join("model.writing")).unwrap();
    let again = run(&recipe, &out, None, None).unwrap();
    assert!(again.steps.is_empty());
    same(&out, &whole);
}

#[test]
fn one_stage_runs_after_those_that_it_starts_from() {
    let world = World::new();
    let recipe = all_stages(&world);
    let out = world.folder.path().join("out");
    let done = run(&recipe, &out, Some("dpo"), None).unwrap();
    assert_eq!(done.ran, [0, 3]);
    assert!(!out.join("2-atc").exists());
    let done = run(&recipe, &out, Some("atc"), None).unwrap();
    assert_eq!((done.kept, done.ran), (vec![0], vec![1]));
    assert_eq!(done.model.unwrap(), out.join("2-atc/model"));
}

#[test]
fn alarm_tokens_are_registered_where_the_tokenizer_lacks_them_and_stay() {
    let world = World::new();
    let recipe = all_stages(&world);
    let out = world.folder.path().join("out");
    run(&recipe, &out, None, None).unwrap();
    let has_both = |folder: &Path| {
        let tokenizer = Tokenizer::open(folder).unwrap();
        [VISUAL_ALARM, TEXTUAL_ALARM].map(|token| tokenizer.id(token).is_some()) == [true; 2]
    };
    assert!(!has_both(&checkpoint()));
    assert!(has_both(&out.join("start")));
    for (name, heads) in [
        ("1-at-sft", false),
        ("2-atc", true),
        ("3-grpo", true),
        ("4-dpo", false),
    ] {
        let model = out.join(name).join("model");
        assert!(has_both(&model) && is_model(&model), "{name}");
        let alarm = Alarm::open(&model, 32, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(alarm.unwrap().has_heads(), heads, "{name}");
    }
}

#[test]
fn a_chain_without_alarm_tokens_registers_none() {
    let world = World::new();
    let out = world.folder.path().join("out");
    run(
        &world.recipe(&stage("sft", "learn.jsonl", "")),
        &out,
        None,
        None,
    )
    .unwrap();
    assert!(!out.join("start").exists());
}

#[test]
fn what_only_training_needs_is_not_in_the_model() {
    let world = World::new();
    let out = world.folder.path().join("out");
    let grpo = "grpo = { group = 2, max_tokens = 4, reference = { sync = 1 } }";
    run(
        &world.recipe(&stage("grpo", "ask.jsonl", grpo)),
        &out,
        None,
        None,
    )
    .unwrap();
    let names = |folder: &str| {
        let entries = std::fs::read_dir(out.join("1-grpo").join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<String>>()
    };
    let (checkpoint, model) = (names("checkpoint-2"), names("model"));
    for only in [
        "optimizer.safetensors",
        "state.json",
        "reference.safetensors",
    ] {
        assert!(checkpoint.iter().any(|name| name == only), "{checkpoint:?}");
        assert!(!model.iter().any(|name| name == only), "{model:?}");
    }
    assert!(is_model(&out.join("1-grpo/model")));
}

#[test]
fn a_stage_of_adapters_leaves_a_merged_model_and_pefts_files_beside_it() {
    let world = World::new();
    let out = world.folder.path().join("out");
    let lora = "lora = { rank = 2, alpha = 4.0, targets = ['model.language_model.*.q_proj'] }";
    let recipe = world.recipe(&stage("at-sft", "learn.jsonl", lora));
    run(&recipe, &out, None, None).unwrap();
    let model = out.join("1-at-sft/model");
    let open = |folder: &Path| {
        let config = model::Config::open(folder).unwrap();
        model::Weights::open(folder, &config, DType::F32, &Device::Cpu).unwrap()
    };
    let adapted = open(&out.join("start"))
        .with_lora_from(&model.join("adapter"))
        .unwrap();
    let merged = open(&model);
    assert!(merged.lora().is_none());
    let mut changed = 0;
    let start = open(&out.join("start"));
    let before: std::collections::HashMap<_, _> = start.iter().collect();
    let values = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let wanted = adapted.merged().unwrap();
    let wanted: std::collections::HashMap<_, _> = wanted.iter().collect();
    for (name, tensor) in merged.iter() {
        assert_eq!(values(tensor), values(wanted[name]), "{name}");
        changed += usize::from(values(tensor) != values(before[name]));
    }
    // One projection of each of two layers.
    assert_eq!(changed, 2);
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        assert!(model.join("adapter").join(name).is_file() && !model.join(name).exists());
    }
}

/// A chain of two stages, the first finished, is refused another recipe in these words.
#[track_caller]
fn another_is_refused(change: impl Fn(&mut train::recipe::Recipe), said: &str) {
    let world = World::new();
    let text = stage("sft", "learn.jsonl", "") + &stage("dpo", "pairs.jsonl", "");
    let mut recipe = world.recipe(&text);
    let out = world.folder.path().join("out");
    run(&recipe, &out, Some("sft"), None).unwrap();
    let before = crate::world::files(&out);
    change(&mut recipe);
    let error = run(&recipe, &out, None, None).err().unwrap();
    let words = words(&error);
    assert!(words.contains(said), "{words:?} lacks {said:?}");
    assert!(before == crate::world::files(&out));
}

#[test]
fn a_finished_stage_is_not_kept_for_another_recipe() {
    another_is_refused(
        |recipe| recipe.stages[0].training.learning_rate = 0.5,
        "learning_rate: 0.01 → 0.5",
    );
}

#[test]
fn a_finished_stage_is_not_kept_for_another_model() {
    another_is_refused(
        |recipe| recipe.model = recipe.model.join("../checkpoint"),
        "model",
    );
}

#[test]
fn a_stage_that_has_not_begun_may_change_and_others_may_follow() {
    let world = World::new();
    let text = stage("sft", "learn.jsonl", "") + &stage("dpo", "pairs.jsonl", "");
    let mut recipe = world.recipe(&text);
    let out = world.folder.path().join("out");
    run(&recipe, &out, Some("sft"), None).unwrap();
    recipe.stages[1].training.learning_rate = 0.5;
    let mut more = recipe.stages[0].clone();
    more.name = "more".into();
    recipe.stages.push(more);
    let done = run(&recipe, &out, None, None).unwrap();
    assert_eq!((done.kept, done.ran), (vec![0], vec![1, 2]));
}
