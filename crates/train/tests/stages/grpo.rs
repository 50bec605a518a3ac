//! Group-relative policy optimisation as a whole run.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device};
use model::{Config, Sequence, Tokenizer, Weights};
use train::BoxError;
use train::data::Record;
use train::forward::Example;
use train::recipe::{Kind, Stage};
use train::reward::total::Rewards;
use train::reward::{Judged, Reward};
use train::rollouts::{Finish, Rollout, read};
use train::rounds::{Asked, Rounds};
use train::stages::grpo::Policy;
use train::stages::start::Start;
use train::step::Item;
use train::workers::Workers;

use crate::world::{Letters, World, checkpoint, run, run_with, same, stage, words};

const JUDGE: &str = "reward = { http = [{ name = 'judge', url = 'unused' }] }";

/// Of four steps, with what else `grpo` says.
fn recipe(world: &World, grpo: &str, rest: &str) -> train::recipe::Recipe {
    let grpo = format!("grpo = {{ group = 3, max_tokens = 10, {JUDGE}{grpo} }}\n{rest}");
    let mut recipe = world.recipe(&stage("grpo", "ask.jsonl", &grpo));
    recipe.stages[0].training.length = train::recipe::Length::Steps(4);
    recipe.stages[0].training.checkpoint_every = 2;
    recipe
}

fn rollouts(out: &Path) -> Vec<Rollout> {
    read(&out.join("1-grpo")).unwrap()
}

fn weights(folder: &Path) -> Vec<(String, Vec<f32>)> {
    let config = Config::open(folder).unwrap();
    let weights = Weights::open(folder, &config, DType::F32, &Device::Cpu).unwrap();
    let values = |tensor: &candle_core::Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    let all = weights.iter();
    all.map(|(name, tensor)| (name.to_owned(), values(tensor)))
        .collect()
}

/// A run, the same run again, and runs stopped after each step all end with the same bytes.
fn ends_the_same(grpo: &str, rest: &str) {
    let world = World::new();
    let recipe = recipe(&world, grpo, rest);
    let out = |name: &str| world.folder.path().join(name);
    let whole = out("whole");
    let done = run(&recipe, &whole, None, None).unwrap();
    let model = done.model.unwrap();
    assert!(done.steps.iter().any(|(_, step)| step.grad_norm > 0.0));
    assert_ne!(weights(&model), weights(&checkpoint()));
    assert_eq!(rollouts(&whole).last().unwrap().step, 4);
    run(&recipe, &out("again"), None, None).unwrap();
    same(&out("again"), &whole);
    for stop in 1..4 {
        let parts = out(&format!("stopped-{stop}"));
        let done = run(&recipe, &parts, None, Some((0, stop))).unwrap();
        assert!(done.model.is_none());
        run(&recipe, &parts, None, None).unwrap();
        same(&parts, &whole);
    }
}

#[test]
fn a_run_stopped_after_any_step_ends_the_same() {
    ends_the_same("", "");
}

#[test]
fn a_run_with_a_renewed_reference_ends_the_same() {
    ends_the_same(", reference = { sync = 2 }", "");
}

#[test]
fn a_run_with_two_updates_of_each_round_ends_the_same() {
    ends_the_same(", updates = 2", "");
}

#[test]
fn a_run_that_draws_again_ends_the_same() {
    ends_the_same(", zero_variance = { resample = 2 }", "");
}

#[test]
fn a_run_of_adapters_with_dropout_against_the_model_without_them_ends_the_same() {
    ends_the_same(
        ", reference = 'lora-off'",
        "lora = { rank = 2, alpha = 4.0, dropout = 0.2, targets = ['q_proj', 'v_proj'] }",
    );
}

/// Judges as others do, and dies in the middle of it, as by `kill -9`.
struct Mortal {
    left: AtomicUsize,
}

impl Reward for Mortal {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
        Letters.score(rollout)
    }
}

const VICTIM: &str = "TRAIN_TEST_VICTIM";

#[test]
#[ignore = "the test below starts it in a process of its own and it kills itself"]
fn victim() {
    let order = std::env::var(VICTIM).expect("data, run and scores until death");
    let [data, out, scores] = order.split('|').collect::<Vec<_>>()[..] else {
        panic!("{order}");
    };
    let scores: usize = scores.parse().unwrap();
    let mortal = |_: &_| {
        let left = AtomicUsize::new(scores);
        Ok(Box::new(Mortal { left }) as Box<dyn Reward>)
    };
    let mut recipe = recipe(&World::new(), ", updates = 2", "");
    recipe.stages[0].data[0].file = Path::new(data).join("ask.jsonl");
    run_with(&recipe, Path::new(out), (None, None), &mortal).unwrap();
}

#[test]
fn a_run_killed_while_it_draws_ends_the_same() {
    let world = World::new();
    let recipe = recipe(&world, ", updates = 2", "");
    let whole = world.folder.path().join("whole");
    run(&recipe, &whole, None, None).unwrap();
    // A step has six scores; the second and the fourth leave checkpoints behind.
    for scores in [1, 5, 10, 14, 24] {
        let out = world.folder.path().join(format!("killed-{scores}"));
        let data = world.folder.path().display();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["grpo::victim", "--exact", "--ignored", "--nocapture"])
            .env(VICTIM, format!("{data}|{}|{scores}", out.display()))
            .output()
            .unwrap()
            .status;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(6), "{status}");
        run(&recipe, &out, None, None).unwrap();
        same(&out, &whole);
    }
}

#[test]
fn every_rollout_is_written_with_its_rewards_and_its_groups_advantages() {
    let world = World::new();
    let out = world.folder.path().join("out");
    let done = run(&recipe(&world, "", ""), &out, None, None).unwrap();
    let all = rollouts(&out);
    // Steps of two prompts of three rollouts.
    assert_eq!(all.len(), 4 * 2 * 3);
    for group in all.chunks(3) {
        assert!(group.iter().all(|one| one.prompt == group[0].prompt));
        assert_eq!(
            group.iter().map(|one| one.index).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        let sum: f32 = group.iter().map(|one| one.advantage).sum();
        assert!(sum.abs() < 1e-4, "{group:?}");
        for one in group {
            assert!(one.rewards.contains_key("judge") && one.rewards.contains_key("format"));
        }
    }
    for (_, step) in &done.steps {
        let of_step = all.iter().filter(|one| one.step == step.step);
        let rewards: Vec<f32> = of_step.map(|one| one.reward).collect();
        let mean = rewards.iter().sum::<f32>() / rewards.len() as f32;
        assert!((step.parts["reward"] - mean).abs() < 1e-4, "{step:?}");
        let named = [
            "kl",
            "clip_fraction",
            "length",
            "truncated",
            "zero_variance",
            "alpha",
        ];
        assert!(
            named.iter().all(|name| step.parts.contains_key(*name)),
            "{step:?}"
        );
    }
}

/// Gives nobody anything, or fails at the third.
struct Odd {
    fails: bool,
}

impl Reward for Odd {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn score(&self, rollout: &Judged<'_>) -> Result<f32, BoxError> {
        match self.fails && rollout.record.id == "r1" {
            true => Err("nobody is at home".into()),
            false => Ok(0.0),
        }
    }
}

#[test]
fn a_reward_that_fails_names_itself_and_the_sample_and_no_step_is_taken() {
    let world = World::new();
    let out = world.folder.path().join("out");
    let odd = |_: &_| Ok(Box::new(Odd { fails: true }) as Box<dyn Reward>);
    let mut recipe = recipe(&world, "", "");
    recipe.stages[0].training.accumulation = 4;
    let error = run_with(&recipe, &out, (None, None), &odd).err().unwrap();
    let said = words(&error);
    assert!(
        said.contains("`judge`") && said.contains("r1") && said.contains("nobody is at home"),
        "{said}"
    );
    assert!(rollouts(&out).iter().all(|rollout| rollout.prompt != "r1"));
    let events = train::events::read(&out.join("1-grpo")).unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
}

/// Nobody's completion is better than another's.
fn indifferent(zero_variance: &str) -> (World, train::events::Step, std::path::PathBuf) {
    let world = World::new();
    let out = world.folder.path().join("out");
    let odd = |_: &_| Ok(Box::new(Odd { fails: false }) as Box<dyn Reward>);
    let weights = "visual_weight = 0.0, textual_weight = 0.0, alpha = { fixed = 0.0 }";
    let grpo = format!(
        "grpo = {{ group = 3, max_tokens = 10, reward = {{ {weights}, http = [{{ name = 'judge', url = 'unused' }}] }}, {zero_variance} }}"
    );
    let recipe = world.recipe(&stage("grpo", "ask.jsonl", &grpo));
    let done = run_with(&recipe, &out, (None, None), &odd).unwrap();
    (world, done.steps[0].1.clone(), done.model.unwrap())
}

#[test]
fn groups_that_teach_nothing_are_dropped_and_the_step_changes_nothing() {
    let (_world, step, model) = indifferent("zero_variance = 'drop'");
    assert_eq!(step.parts["zero_variance"], 1.0);
    assert_eq!((step.loss, step.grad_norm, step.samples), (0.0, 0.0, 0));
    assert_eq!(weights(&model), weights(&checkpoint()));
}

#[test]
fn groups_that_teach_nothing_are_held_to_the_reference_where_they_are_kept() {
    let (_world, step, _) = indifferent("zero_variance = 'keep'");
    assert_eq!(step.parts["zero_variance"], 1.0);
    assert_eq!(step.samples, 2);
}

#[test]
fn completions_that_were_cut_off_are_not_learnt_from_where_they_are_masked() {
    let world = World::new();
    let out = world.folder.path().join("out");
    let mut recipe = recipe(&world, ", overlong = 'mask'", "");
    recipe.stages[0].training.length = train::recipe::Length::Steps(1);
    let grpo = recipe.stages[0].grpo.as_mut().unwrap();
    (grpo.group, grpo.max_tokens) = (8, 150);
    let step = &run(&recipe, &out, None, None).unwrap().steps[0].1;
    let all = rollouts(&out);
    let whole = |one: &&Rollout| one.finish == Finish::Stop;
    assert!(all.iter().any(|one| whole(&one)) && !all.iter().all(|one| whole(&one)));
    let learnt: usize = all.iter().filter(whole).map(|one| one.tokens).sum();
    assert_eq!(step.targets, learnt);
}

#[test]
fn a_rollout_whose_video_did_not_reach_the_prompt_is_an_error() {
    let stage = Stage::of(Kind::Grpo, "unused.jsonl".into()).resolved();
    let start = Start::open(&checkpoint(), &stage).unwrap();
    let (network, untracked) = (start.network().unwrap(), start.untracked().unwrap());
    let settings = stage.grpo.unwrap();
    let record = Record {
        id: "blind".into(),
        video: Some("v.mp4".into()),
        ..Record::default()
    };
    let examples = vec![Arc::new(Example {
        id: "blind".into(),
        sequence: Sequence {
            prompt: String::new(),
            input_ids: vec![308, 84],
            vision: Vec::new(),
            alarm: None,
            labels: None,
        },
        media: Vec::new(),
    })];
    let policy = Policy {
        model: &network,
        behaviour: &untracked,
        reference: None,
        parameters: &start.parameters,
        tokenizer: &Tokenizer::open(&checkpoint()).unwrap(),
        examples: &examples,
        records: &[record],
        items: vec![Item {
            id: "blind".into(),
            ..Item::default()
        }],
        settings: &settings,
        rewards: &Rewards::new(&settings.reward, Vec::new()).unwrap(),
        seed: 0,
        recompute: false,
        log: Mutex::new((std::path::PathBuf::new(), None)),
    };
    let workers = Workers::new(1.try_into().unwrap(), 1.try_into().unwrap()).unwrap();
    let asked = Asked {
        step: 1,
        batches: &[vec![0]],
        accumulation: 1,
        workers: &workers,
    };
    let said = words(&policy.round(asked).err().unwrap());
    assert!(
        said.contains("blind") && said.contains("did not reach"),
        "{said}"
    );
}
