//! `alarum demo`: the main job, end to end, on the miniature world. What is there already is kept, so
//! that an interrupted demo goes on where it was.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use bench::Benchmark;
use bench::format::Manifest;
use candle_core::{DType, Device};
use model::Weights;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::args::Demo;
use crate::commands::train::{Data, fine_tune};
use crate::commands::{eval, report};
use crate::demo::world::{self, Size};
use crate::demo::{model as tiny, vocabulary};
use crate::local::LocalModel;
use crate::progress::{Bar, say};

pub(crate) fn run(arguments: &Demo) -> Result<()> {
    let begun = Instant::now();
    let place = |name: &str| arguments.out.join(name);
    say(
        "The miniature world: invented shapes, invented harm. It shows that the tool works, and nothing about any real model.",
    );
    let records = training_data(&place("world/train"), arguments.seed)?;
    let benchmark = benchmark(&place("world/benchmark"), arguments.seed)?;
    let trained = train(&place("base"), &place("training"), &records, arguments.seed)?;
    let model =
        LocalModel::load(&trained, DType::F32, &Device::Cpu)?.called("miniature base model");
    let mut settings = eval::settings(&model, &benchmark);
    settings.generation.max_tokens = 32;
    eval::evaluate(&place("run"), settings, &benchmark, &model)?;
    report::show(&place("run"), None)?;
    say(&format!(
        "done in {:.0} s; the model is in {}",
        begun.elapsed().as_secs_f64(),
        trained.display()
    ));
    Ok(())
}

/// Renders what is trained on; gives the file of records.
fn training_data(folder: &Path, seed: u64) -> Result<PathBuf> {
    let half = world::train(Size::default(), subcategories().len(), seed);
    film(&half.clips, folder, "training clips")?;
    let mut lines = String::new();
    for record in &half.items {
        lines.push_str(&serde_json::to_string(record)?);
        lines.push('\n');
    }
    let path = folder.join("records.jsonl");
    std::fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
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

/// Trains the tiny model from nothing; gives its folder.
fn train(base: &Path, out: &Path, records: &Path, seed: u64) -> Result<PathBuf> {
    let text = crate::media::text(records)?;
    let lines: Vec<train::data::Record> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("the world's own records")?;
    let sentences: Vec<String> = lines
        .into_iter()
        .flat_map(|record| [record.query, record.answer])
        .collect();
    let tokenizer = vocabulary::train(sentences.into_iter(), vocabulary::SIZE)?;
    let config = tiny::save(&tokenizer, base)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let weights = Weights::random(&config, tiny::INITIAL_STD, &mut rng)?;
    weights.save(base, &config)?;
    fine_tune(
        base,
        weights,
        &Data {
            records,
            recipe: &tiny::recipe(seed),
        },
        out,
    )
}

/// Ids of the taxonomy's categories and subcategories, in its order.
fn subcategories() -> Vec<(String, String)> {
    let taxonomy = safety::Taxonomy::builtin();
    taxonomy
        .subcategories()
        .map(|(category, sub)| (category.id.clone(), sub.id.clone()))
        .collect()
}
