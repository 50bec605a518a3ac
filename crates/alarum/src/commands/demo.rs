//! `alarum demo`: the main job, end to end, on the miniature world. What is there already is kept, so
//! that an interrupted demo goes on where it was.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use bench::Benchmark;
use bench::format::Manifest;
use candle_core::{DType, Device};
use model::{Config, Weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use train::data::Record;

use crate::args::Demo;
use crate::commands::train::{Data, fine_tune};
use crate::commands::{eval, report};
use crate::demo::world::{self, Size, Thinking};
use crate::demo::{model as tiny, vocabulary};
use crate::local::LocalModel;
use crate::progress::{Bar, say};

/// Longest answer that the world's models may give: reasoning, answer and both types.
const MAX_TOKENS: usize = 80;

pub(crate) fn run(arguments: &Demo) -> Result<()> {
    let begun = Instant::now();
    let place = |name: &str| arguments.out.join(name);
    say(
        "The miniature world: invented shapes, invented harm. It shows that the tool works, and nothing about any real model.",
    );
    let sentences = training_data(&place("world/train"), arguments.seed)?;
    let benchmark = benchmark(&place("world/benchmark"), arguments.seed)?;
    let fresh = fresh(&place("base"), sentences, arguments.seed)?;
    let records = place("world/train/base.jsonl");
    let trained = train(&fresh, &place("training"), &records, arguments.seed)?;
    let model =
        LocalModel::load(&trained, DType::F32, &Device::Cpu)?.called("miniature base model");
    let mut settings = eval::settings(&model, &benchmark);
    settings.generation.max_tokens = MAX_TOKENS;
    eval::evaluate(&place("run"), settings, &benchmark, &model)?;
    report::show(&place("run"), None)?;
    say(&format!(
        "done in {:.0} s; the model is in {}",
        begun.elapsed().as_secs_f64(),
        trained.display()
    ));
    Ok(())
}

/// Renders what is trained on and writes the records of each stage; gives every sentence in them.
fn training_data(folder: &Path, seed: u64) -> Result<Vec<String>> {
    let (size, subcategories) = (Size::default(), subcategories().len());
    let base = world::train(size, subcategories, seed);
    let Thinking {
        clips,
        sft,
        cot,
        rl,
        dpo,
    } = world::thinking(size, subcategories, base.clips.len(), seed);
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
        for record in records {
            sentences.extend([record.query, record.answer]);
            sentences.extend(
                record
                    .turns
                    .into_iter()
                    .flat_map(|turn| [turn.query, turn.answer]),
            );
        }
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
fn benchmark(folder: &Path, seed: u64) -> Result<Benchmark> {
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
    Ok(Benchmark::open(folder)?)
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

/// Teaches it the world; gives the folder of the base model.
fn train(fresh: &Path, out: &Path, records: &Path, seed: u64) -> Result<PathBuf> {
    let config = Config::open(fresh)?;
    let weights = Weights::open(fresh, &config, DType::F32, &Device::Cpu)?;
    let recipe = tiny::recipe(seed);
    let data = Data {
        records,
        recipe: &recipe,
    };
    fine_tune(fresh, weights, &data, out)
}

/// Ids of the taxonomy's categories and subcategories, in its order.
fn subcategories() -> Vec<(String, String)> {
    let taxonomy = safety::Taxonomy::builtin();
    taxonomy
        .subcategories()
        .map(|(category, sub)| (category.id.clone(), sub.id.clone()))
        .collect()
}
