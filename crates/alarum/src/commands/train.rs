//! `alarum train`: supervised fine-tuning of a checkpoint on records.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use candle_core::{DType, Device};
use model::{Config, Processor, Weights};
use train::recipe::Sft;
use train::run::Ended;
use train::stages::sft;
use video::{Decoder, FrameSize};

use crate::args::Train;
use crate::media;
use crate::progress::{Bar, UserError, say, step_in_words};

pub(crate) fn run(arguments: &Train) -> Result<()> {
    let recipe = Sft::from_toml(&media::text(&arguments.recipe)?).map_err(|error| {
        UserError(format!(
            "{}: {:#}",
            arguments.recipe.display(),
            anyhow::Error::new(error)
        ))
    })?;
    let config = Config::open(&arguments.model)?;
    let weights = Weights::open(&arguments.model, &config, DType::F32, &Device::Cpu)?;
    let checkpoint = fine_tune(
        &arguments.model,
        weights,
        &Data {
            records: &arguments.data,
            recipe: &recipe,
        },
        &arguments.out,
    )?;
    say(&format!("trained model: {}", checkpoint.display()));
    Ok(())
}

/// What is learned, and how.
pub(crate) struct Data<'a> {
    /// JSONL of records.
    pub records: &'a Path,
    pub recipe: &'a Sft,
}

/// Trains `weights` of the model folder `source` in the run folder `out`, from its newest checkpoint if
/// it has one; gives the folder of the trained model.
pub(crate) fn fine_tune(
    source: &Path,
    weights: Weights,
    data: &Data<'_>,
    out: &Path,
) -> Result<PathBuf> {
    let processor = Processor::open(source)?;
    let records = train::data::read(data.records)?;
    let decoder = Decoder::default();
    let sampling = processor.sampling();
    let videos: HashSet<&PathBuf> = records
        .iter()
        .filter_map(|record| record.video.as_ref())
        .collect();
    let bar = Bar::new("read", videos.len() as u64);
    let examples = train::examples::examples(&processor, &records, &|path| {
        let clip = decoder.video(path, sampling, FrameSize::Native)?;
        bar.step();
        Ok(Arc::new(clip))
    });
    bar.finish(&format!("{} examples", examples.usable.len()));
    for unusable in examples.unusable.iter().take(5) {
        say(&with_causes(unusable));
    }
    if !examples.unusable.is_empty() {
        say(&format!(
            "{} of {} records are left out",
            examples.unusable.len(),
            records.len()
        ));
    }
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let job = sft::Job {
        source,
        weights,
        recipe: data.recipe,
        examples: &examples.usable,
        folder: out,
        workers: cores,
        versions: BTreeMap::from([("alarum".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
    };
    let bar = Bar::new("train", 0);
    let ended = sft::train(job, &mut |progress| {
        bar.length(progress.total as u64);
        bar.set(
            progress.step.step as u64,
            &step_in_words(progress.step, progress.tokens_per_second),
        );
        ControlFlow::Continue(())
    })?;
    match ended {
        Ended::Complete { checkpoint } => {
            bar.finish("trained");
            Ok(checkpoint)
        }
        Ended::Stopped { step } => {
            bail!("training stopped after step {step}: run the command again to go on")
        }
    }
}

/// An error with its causes.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        said.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    said
}
