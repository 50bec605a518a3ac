//! `alarum demo`: the main job, end to end, on the miniature world. A base model is trained and
//! evaluated, made safe by the paper's stages, and evaluated again. What is there already is kept, so that
//! an interrupted demo goes on where it was.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use bench::Benchmark;
use bench::format::Manifest;
use candle_core::{DType, Device};
use model::Weights;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use train::data::Record;
use train::recipe::Recipe;

use crate::ablation::{Figures, table};
use crate::args::Demo;
use crate::commands::train::{Words, chain, cores};
use crate::commands::{eval, report};
use crate::demo::world::{self, Size, Thinking};
use crate::demo::{model as tiny, vocabulary};
use crate::local::LocalModel;
use crate::progress::{Bar, print, say};

/// Where the world's benchmark is.
pub(crate) const BENCHMARK: &str = "world/benchmark";
/// Longest answer that the world's models may give: reasoning, answer and both types.
pub(crate) const MAX_TOKENS: usize = 96;
/// The stages that make the base model safe, as anybody can run them.
const RECIPE: &str = include_str!("../../../../recipes/miniature.toml");

pub(crate) fn run(arguments: &Demo) -> Result<()> {
    let begun = Instant::now();
    let out = &arguments.out;
    say(
        "The miniature world: invented shapes, invented harm. It shows that the tool works, and nothing about any real model.",
    );
    let words = Words::default();
    say("1 of 4: a base model that declines harm in text, and is talked out of it by a video");
    let base = prepare(out, arguments.seed, cores(), &words)?;
    say("2 of 4: how unsafe it is");
    let benchmark = Benchmark::open(&out.join(BENCHMARK))?;
    let before = evaluate(
        &base,
        "miniature base model",
        &out.join("runs/base"),
        &benchmark,
    )?;
    say("3 of 4: alarm tokens, alarm heads, cold start, safety-guided GRPO");
    let mut recipe = Recipe::from_toml(RECIPE)?;
    recipe.seed = arguments.seed;
    recipe.relative_to(&std::path::absolute(out)?);
    let training = out.join("videosafety-r1");
    let model = chain(&recipe, &training, cores(), None, &words)?;
    say("4 of 4: how safe it is now");
    let run = out.join("runs/videosafety-r1");
    let after = evaluate(&model, "miniature VideoSafety-R1", &run, &benchmark)?;
    report::show(&out.join("runs/base"), None)?;
    report::show(&run, None)?;
    report::show_training(&training, None)?;
    let names = ["base", "VideoSafety-R1"].map(str::to_owned);
    print(&format!("\n{}", table(&names, &[vec![before, after]])));
    say(&format!(
        "done in {:.0} s; the model is in {}; how each stage does: alarum ablate recipes/ablation.toml",
        begun.elapsed().as_secs_f64(),
        model.display()
    ));
    Ok(())
}

/// Makes the world of a seed in `out`, and its base model; gives that model's folder.
pub(crate) fn prepare(
    out: &Path,
    seed: u64,
    workers: NonZeroUsize,
    words: &Words,
) -> Result<PathBuf> {
    let out = &std::path::absolute(out)?;
    let sentences = training_data(&out.join("world/train"), seed)?;
    make_benchmark(&out.join(BENCHMARK), seed)?;
    let fresh = fresh(&out.join("fresh"), sentences, seed)?;
    let recipe = Recipe {
        seed,
        model: fresh,
        stages: vec![tiny::stage(out.join("world/train/base.jsonl"))],
    };
    chain(&recipe, &out.join("base"), workers, None, words)
}

fn evaluate(model: &Path, name: &str, run: &Path, benchmark: &Benchmark) -> Result<Figures> {
    let model = LocalModel::load(model, DType::F32, &Device::Cpu)?.called(name);
    let mut settings = eval::settings(&model, benchmark);
    settings.generation.max_tokens = MAX_TOKENS;
    let results = eval::evaluate(run, settings, benchmark, &model)?;
    Ok(Figures::of(&results, 0.0))
}

/// Renders what is trained on and writes its records; gives every sentence in them.
fn training_data(folder: &Path, seed: u64) -> Result<Vec<String>> {
    let size = Size::default();
    let base = world::train(size, subcategories().len(), seed);
    let Thinking {
        clips,
        sft,
        cot,
        rl,
        dpo,
    } = world::thinking(size, subcategories().len(), base.clips.len(), seed);
    film(&base.clips, folder, "clips of the base model")?;
    film(&clips, folder, "clips of the safety training")?;
    let files = [
        ("base.jsonl", base.items),
        ("sft.jsonl", sft),
        ("cot.jsonl", cot),
        ("rl.jsonl", rl),
        ("dpo.jsonl", dpo),
    ];
    let mut sentences = Vec::new();
    for (name, records) in files {
        write(&folder.join(name), &records)?;
        sentences.extend(
            records
                .into_iter()
                .flat_map(|record| [record.query, record.answer]),
        );
    }
    Ok(sentences)
}

fn write(path: &Path, records: &[Record]) -> Result<()> {
    let mut lines = String::new();
    for record in records {
        lines.push_str(&serde_json::to_string(record)?);
        lines.push('\n');
    }
    std::fs::write(path, lines).with_context(|| format!("cannot write {}", path.display()))
}

/// Renders what is held out, as a benchmark folder.
fn make_benchmark(folder: &Path, seed: u64) -> Result<()> {
    let half = world::test(Size::default(), &subcategories(), seed);
    film(&half.clips, folder, "held-out clips")?;
    let manifest = Manifest {
        name: "miniature world".to_owned(),
        version: seed.to_string(),
        description:
            "Procedural scenes and invented intents; no harmful content of the real world."
                .to_owned(),
        licence: "CC0-1.0".to_owned(),
        ..Manifest::default()
    };
    bench::format::write(folder, &manifest, &world::samples(&half, folder)?)?;
    Ok(())
}

fn film(clips: &[world::Clip], folder: &Path, what: &str) -> Result<()> {
    let bar = Bar::new("render", clips.len() as u64);
    world::film(clips, folder, &|| bar.step())?;
    bar.finish(&format!("{} {what}", clips.len()));
    Ok(())
}

/// A model that knows nothing: random weights of a seed, and the world's tokens.
fn fresh(folder: &Path, sentences: Vec<String>, seed: u64) -> Result<PathBuf> {
    if !folder.join("model.safetensors").is_file() {
        let tokenizer = vocabulary::train(sentences.into_iter(), vocabulary::SIZE)?;
        let config = tiny::save(&tokenizer, folder)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Weights::random(&config, tiny::INITIAL_STD, &mut rng)?.save(folder, &config)?;
    }
    Ok(folder.to_owned())
}

/// Ids of the taxonomy's categories and subcategories, in its order.
fn subcategories() -> Vec<(String, String)> {
    let taxonomy = safety::Taxonomy::builtin();
    taxonomy
        .subcategories()
        .map(|(category, sub)| (category.id.clone(), sub.id.clone()))
        .collect()
}
