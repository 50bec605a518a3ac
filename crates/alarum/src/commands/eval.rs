//! `alarum eval`: a model on a benchmark, with the video and without it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bench::evaluate::{Parties, Progress};
use bench::frames::Decoded;
use bench::judge::{Judge, RuleJudge};
use bench::score::Scored;
use bench::{Benchmark, Condition, Results, Run, Settings};
use chat::ChatModel;
use video::Decoder;

use crate::args::Eval;
use crate::commands::{chat::generation, doctor, report};
use crate::local::LocalModel;
use crate::media;
use crate::progress::{Bar, UserError, say};

pub(crate) fn run(arguments: &Eval) -> Result<()> {
    let benchmark =
        Benchmark::open(&arguments.benchmark).map_err(|error| UserError(format!("{error:#}")))?;
    let model = LocalModel::open(&arguments.model)?;
    let settings = Settings {
        system: arguments.system.clone(),
        epochs: arguments.epochs.max(1),
        sampling: media::sampling(&arguments.frames, model.own_sampling())?,
        generation: generation(&arguments.decoding),
        model_sha256: Some(fingerprint(&arguments.model.model)?),
        ..settings(&model, &benchmark)
    };
    evaluate(&arguments.out, settings, &benchmark, &model)?;
    report::show(&arguments.out, arguments.html.as_deref())
}

/// The settings of a run that nobody asked anything special of.
pub(crate) fn settings(model: &LocalModel, benchmark: &Benchmark) -> Settings {
    Settings {
        format: bench::run::VERSION,
        alarum: env!("CARGO_PKG_VERSION").to_owned(),
        model: model.name().to_owned(),
        model_sha256: None,
        benchmark: format!("{} {}", benchmark.manifest.name, benchmark.manifest.version),
        samples_sha256: benchmark.samples_sha256.clone(),
        conditions: Condition::ALL.to_vec(),
        epochs: 1,
        system: None,
        sampling: model.own_sampling(),
        generation: chat::Generation::default(),
    }
}

/// Asks everything that the run in `folder` has not asked yet, judges and scores it.
pub(crate) fn evaluate(
    folder: &Path,
    settings: Settings,
    benchmark: &Benchmark,
    model: &LocalModel,
) -> Result<Results> {
    for problem in &benchmark.problems {
        say(&problem.to_string());
    }
    if !benchmark.problems.is_empty() {
        let (problems, good) = (benchmark.problems.len(), benchmark.samples.len());
        say(&format!(
            "{problems} problems in {}; going on with {good} good samples",
            benchmark.folder.display()
        ));
    }
    doctor::require_ffmpeg()?;
    let sampling = settings.sampling;
    let run = Run::begin(folder, settings, benchmark)?;
    let frames = Arc::new(Decoded {
        decoder: Decoder::default(),
        sampling,
    });
    let bar = Bar::new("evaluate", 0);
    let show = |progress: Progress| {
        bar.length(progress.total as u64);
        let words = if progress.errors > 0 {
            format!("{} errors", progress.errors)
        } else {
            String::new()
        };
        bar.set(progress.done as u64, &words);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let results = runtime.block_on(async {
        let records =
            bench::evaluate::evaluate(&run, benchmark, Parties { model, frames }, &show).await?;
        let samples = run.samples()?;
        let judgements = bench::judge::judge_all(&run, &RuleJudge, &samples, &records).await?;
        let scored = Scored {
            settings: &run.settings,
            samples: &samples,
            taxonomy: &run.taxonomy()?,
            records: &records,
            judgements: &judgements,
            judge: RuleJudge.name(),
            problems: benchmark.problems.len(),
        };
        anyhow::Ok(bench::score::score(&scored))
    })?;
    run.write_results(&results)?;
    bar.finish(&format!("{} answers", results.records));
    Ok(results)
}

/// Tells one checkpoint from another: a hash over its configuration and the names and sizes of its
/// weight files.
fn fingerprint(folder: &Path) -> Result<String> {
    let mut parts = media::text(&folder.join("config.json"))?;
    let mut files: Vec<(String, u64)> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            name.ends_with(".safetensors")
                .then(|| entry.metadata().ok().map(|data| (name, data.len())))?
        })
        .collect();
    files.sort();
    for (name, size) in &files {
        parts.push_str(&format!("\n{name} {size} "));
        parts.push_str(&header_hash(&folder.join(name))?);
    }
    Ok(video::hash::bytes(parts.as_bytes()))
}

/// Hash of the first and the last megabyte of a file: cheap, and another training run changes it.
fn header_hash(path: &Path) -> Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    const PART: u64 = 1 << 20;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        file.by_ref().take(PART).read_to_end(&mut bytes)?;
        let end = file.metadata()?.len().saturating_sub(PART);
        file.seek(SeekFrom::Start(end))?;
        file.take(PART).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Ok(video::hash::bytes(&read().with_context(|| {
        format!("cannot read {}", path.display())
    })?))
}
