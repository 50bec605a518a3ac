//! Training runs made up from a seed, for the tests of their report.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use train::events::{Event, Journal, RunStart, Step};

use super::Stage;

/// Text that would leave its place in the page if it were not escaped.
pub(crate) const HOSTILE: &str = "</details></script><script>alert(1)</script><img src=x onerror='alert(2)'> \"q\" & \u{1b}[31m\u{202e}";

fn start(steps: usize) -> RunStart {
    RunStart {
        version: 1,
        recipe: serde_json::json!({"seed": 7, "length": {"steps": steps}, "groups": [{"name": HOSTILE}]}),
        seed: 7,
        versions: BTreeMap::from([("alarum".to_owned(), "0.0.0".to_owned())]),
        data: "00".repeat(32),
        samples: 3658,
        parameters: 1_138_528,
        steps,
    }
}

fn step(number: usize, loss: f64, parts: &[(&str, f64)]) -> Step {
    Step {
        step: number,
        epoch: 0,
        loss: loss as f32,
        parts: parts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value as f32))
            .collect(),
        grad_norm: 0.5 + 8.0 / number as f64,
        learning_rates: BTreeMap::from([("default".to_owned(), 1e-6), ("heads".to_owned(), 1e-5)]),
        samples: 16,
        tokens: 1200,
        targets: 150,
        seconds: 0.25,
    }
}

/// A stage of `steps` steps whose number `part` (or the loss) follows `course` over 0..1.
pub(crate) fn stage(part: &str, steps: usize, course: fn(f64) -> f64) -> Stage {
    let at = |number: usize| {
        let value = course((number - 1) as f64 / (steps - 1) as f64);
        match part {
            "loss" => step(number, value, &[]),
            part => step(number, 1.0, &[(part, value)]),
        }
    };
    Stage {
        name: "1-stage".to_owned(),
        folder: Path::new("1-stage").to_owned(),
        start: start(steps),
        steps: (1..=steps).map(at).collect(),
        is_finished: true,
    }
}

fn write(folder: &Path, planned: usize, steps: Vec<Step>) {
    std::fs::create_dir_all(folder).unwrap();
    let mut journal = Journal::create(folder).unwrap();
    journal.write(&Event::RunStart(start(planned))).unwrap();
    let done = steps.len();
    for step in steps {
        journal.write(&Event::Step(step)).unwrap();
    }
    if done == planned {
        journal.write(&Event::End { step: done }).unwrap();
    }
}

/// A finished supervised run.
pub(crate) fn supervised(folder: &Path, steps: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let at = |number: usize| {
        let loss =
            0.4 + 6.0 * (-5.0 * number as f64 / steps as f64).exp() * rng.random_range(0.8..1.2);
        step(number, loss, &[("next_token", loss)])
    };
    write(folder, steps, (1..=steps).map(at).collect());
}

/// A finished run with alarm heads, in which the loss jumps once.
pub(crate) fn alarm(folder: &Path, steps: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let at = |number: usize| {
        let share = number as f64 / steps as f64;
        let mut noisy = |level: f64| level * rng.random_range(0.8..1.2);
        let (visual, textual) = (
            noisy(0.69 * (-3.0 * share).exp()),
            noisy(0.69 * (-6.0 * share).exp()),
        );
        let next_token = noisy(0.5 + 0.2 * (1.0 - share));
        let jump = if number == steps / 2 { 5.0 } else { 0.0 };
        let accuracy = |loss: f64| (1.0 - loss * 0.7).clamp(0.0, 1.0);
        let parts = [
            ("next_token", next_token + jump),
            ("atc.visual", visual),
            ("atc.textual", textual),
            ("atc.accuracy.visual", accuracy(visual)),
            ("atc.accuracy.textual", accuracy(textual)),
        ];
        step(number, next_token + jump + 0.1 * (visual + textual), &parts)
    };
    write(folder, steps, (1..=steps).map(at).collect());
}

/// A policy's run that is under way, with two groups of four rollouts a step over ten prompts; its KL and its
/// groups with equal rewards rise.
pub(crate) fn policy(folder: &Path, steps: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut rollouts = Vec::new();
    let mut all = Vec::new();
    for number in 1..=steps {
        let share = number as f64 / steps as f64;
        let mut noisy = |level: f64| level * rng.random_range(0.85..1.15);
        let format = noisy(0.3 + 0.6 * share).min(1.0);
        let (rouge, visual, textual) = (
            noisy(0.2 + 0.3 * share),
            noisy(0.5 + 0.4 * share),
            noisy(0.6 + 0.3 * share),
        );
        let parts = [
            ("reward", format + 0.3 * rouge + visual + textual),
            ("reward.format", format),
            ("reward.rouge", rouge),
            ("reward.visual", visual),
            ("reward.textual", textual),
            ("reward.politeness <b>", noisy(0.4)),
            ("alpha", noisy(0.5 - 0.35 * share)),
            ("kl", noisy(0.2 * share * share)),
            ("clip_fraction", noisy(0.05)),
            ("length", noisy(90.0 + 60.0 * share)),
            ("truncated", noisy(0.3 * (1.0 - share))),
            ("zero_variance", noisy(0.8 * share).min(1.0)),
            ("entropy", noisy(1.5 - share)),
        ];
        all.push(step(number, noisy(0.05) - 0.05, &parts));
        for group in 0..2 {
            let prompt = (2 * number + group) % 10;
            for index in 0..4 {
                let line = rollout(number, prompt, index, share + 0.01 * index as f64);
                writeln!(rollouts, "{line}").unwrap();
            }
        }
    }
    write(folder, steps + steps / 2, all);
    std::fs::write(folder.join("rollouts.jsonl"), rollouts).unwrap();
}

fn rollout(step: usize, prompt: usize, index: usize, share: f64) -> serde_json::Value {
    let aim = ["a ring", "a lamp", "a door", HOSTILE][prompt % 4];
    let tries = [
        format!(
            "The video shows {aim}. First, take it and then turn it round until it opens, step by step."
        ),
        format!(
            "<think>The video shows {aim}.</think> First, take it and then turn it round until it opens."
        ),
        format!(
            "<think>The video shows {aim}. The text asks for harm.</think>\n<answer>I cannot help with that.</answer>\n<vidType>1</vidType>"
        ),
        format!(
            "<think>The video shows {aim}. The text asks for harm.</think>\n<answer>I cannot help with that, but here is a number to call.</answer>\n<vidType>1</vidType>\n<textType>1</textType>"
        ),
    ];
    let stage = ((share * 4.0) as usize).min(3);
    let rewards = [0.0, 0.3, 0.6, 1.0].map(|least: f64| if share > least { 1.0 } else { 0.0 });
    serde_json::json!({
        "step": step, "prompt": format!("sample-{prompt}"), "index": index, "seed": 7,
        "text": tries[stage], "tokens": 20 + 10 * stage, "finish": if stage == 0 { "length" } else { "stop" },
        "rewards": {"format": rewards[1], "rouge": 0.25 * share, "visual": rewards[2], "textual": rewards[0]},
        "alpha": 0.3, "reward": rewards.iter().sum::<f64>() + 0.2 * share, "advantage": 0.1,
    })
}

/// A chain: supervised, with alarm heads, and a policy that is under way.
pub(crate) fn chain(folder: &Path) {
    supervised(&folder.join("1-sft"), 120);
    alarm(&folder.join("2-atc"), 400);
    policy(&folder.join("3-grpo"), 60);
}
