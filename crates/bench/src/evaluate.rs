//! Every question of a benchmark put to a model: sample × condition × epoch, each written down before
//! the next result is waited for.

use std::collections::HashSet;
use std::sync::Arc;

use chat::{ChatModel, ChatRequest, Finish, Generation};
use futures::StreamExt;
use safety::outcome::Ending;
use safety::{Outcome, Sample};
use sha2::{Digest, Sha256};
use video::Clip;

use crate::error::Result;
use crate::frames::FrameSource;
use crate::journal::{FrameMark, Journal, Key, Record};
use crate::{Benchmark, Condition, Run, thumbnails};

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Calls written down, also those of an earlier process.
    pub done: usize,
    /// Calls in all.
    pub total: usize,
    /// Of the calls done, those that ended in an error.
    pub errors: usize,
}

/// The questions of one sample that are still open.
struct Open<'a> {
    sample: &'a Sample,
    asked: Vec<(Condition, u32)>,
}

/// Asks every open question and gives all records of the run, those of earlier processes included.
/// A sample that fails is a record with [`Outcome::Error`]; the run goes on.
///
/// # Errors
/// If the journal cannot be read or written. What was written stays, and the run can be resumed.
pub async fn evaluate(
    run: &Run,
    benchmark: &Benchmark,
    parties: Parties<'_>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Record>> {
    let (mut journal, mut records) = Journal::open(&run.journal_path())?;
    let done: HashSet<Key> = records.iter().map(Record::key).collect();
    let open = open(run, benchmark, &done);
    let total = done.len() + open.iter().map(|open| open.asked.len()).sum::<usize>();
    let mut errors = records
        .iter()
        .filter(|record| record.outcome == Outcome::Error)
        .count();
    progress(Progress {
        done: records.len(),
        total,
        errors,
    });

    let at_once = parties.model.concurrency().max(1);
    let mut answers = futures::stream::iter(open)
        .map(|open| ask_sample(run, benchmark, &parties, open))
        .buffer_unordered(at_once);
    while let Some(sample_records) = answers.next().await {
        for record in sample_records {
            journal.append(&record)?;
            errors += usize::from(record.outcome == Outcome::Error);
            records.push(record);
            progress(Progress {
                done: records.len(),
                total,
                errors,
            });
        }
    }
    Ok(records)
}

/// Who takes part in an evaluation.
#[derive(Clone)]
pub struct Parties<'a> {
    /// The model under evaluation.
    pub model: &'a dyn ChatModel,
    /// Where frames come from.
    pub frames: Arc<dyn FrameSource>,
}

/// The questions that have no record yet, sample by sample in the benchmark's order.
fn open<'a>(run: &Run, benchmark: &'a Benchmark, done: &HashSet<Key>) -> Vec<Open<'a>> {
    let of = |sample: &'a Sample| {
        let mut asked = Vec::new();
        for epoch in 0..run.settings.epochs {
            for &condition in &run.settings.conditions {
                let key = Key {
                    sample: sample.id.clone(),
                    condition,
                    epoch,
                };
                if condition.fits(sample) && !done.contains(&key) {
                    asked.push((condition, epoch));
                }
            }
        }
        Open { sample, asked }
    };
    benchmark
        .samples
        .iter()
        .map(of)
        .filter(|open| !open.asked.is_empty())
        .collect()
}

async fn ask_sample(
    run: &Run,
    benchmark: &Benchmark,
    parties: &Parties<'_>,
    open: Open<'_>,
) -> Vec<Record> {
    let needs_video = open
        .asked
        .iter()
        .any(|(condition, _)| condition.needs_video());
    let clip = if needs_video {
        Some(clip(run, benchmark, parties, open.sample).await)
    } else {
        None
    };
    let mut records = Vec::with_capacity(open.asked.len());
    for (condition, epoch) in open.asked {
        let clip = match (&clip, condition.needs_video()) {
            (_, false) | (None, true) => None,
            (Some(Ok(clip)), true) => Some(clip),
            (Some(Err(reason)), true) => {
                records.push(failed(run, open.sample, (condition, epoch), reason.clone()));
                continue;
            }
        };
        records.push(ask(run, parties.model, open.sample, (condition, epoch), clip).await);
    }
    records
}

/// Decodes the sample's video away from the threads that wait for answers.
async fn clip(
    run: &Run,
    benchmark: &Benchmark,
    parties: &Parties<'_>,
    sample: &Sample,
) -> std::result::Result<Arc<Clip>, String> {
    let path = benchmark.video(sample).ok_or("the sample has no video")?;
    let (frames, sample, pictures) = (
        Arc::clone(&parties.frames),
        sample.clone(),
        run.frames_path(),
    );
    let decoding = tokio::task::spawn_blocking(move || {
        let clip = frames.frames(&sample, &path)?;
        if let Err(error) = thumbnails::save(&clip, &pictures) {
            // A report without a picture is better than a run without an answer.
            tracing::warn!(sample = sample.id, %error, "no pictures of this video");
        }
        Ok(Arc::new(clip))
    });
    decoding
        .await
        .unwrap_or_else(|error| Err(format!("decoding ended abnormally: {error}")))
}

async fn ask(
    run: &Run,
    model: &dyn ChatModel,
    sample: &Sample,
    (condition, epoch): (Condition, u32),
    clip: Option<&Arc<Clip>>,
) -> Record {
    let seed = seed(run.settings.generation.seed, &sample.id, epoch);
    let request = ChatRequest {
        id: sample.id.clone(),
        system: run.settings.system.clone(),
        media: condition.media(clip),
        text: sample.query.clone(),
        generation: Generation {
            seed,
            ..run.settings.generation.clone()
        },
    };
    let mark = |frame: &video::Frame| FrameMark {
        seconds: frame.seconds.0,
        sha256: frame.sha256(),
    };
    let frames = clip
        .map(|clip| clip.frames.iter().map(mark).collect())
        .unwrap_or_default();
    match model.reply(request, &|_| ()).await {
        Err(error) => {
            let reason = crate::frames::said(&error);
            Record {
                frames,
                ..failed(run, sample, (condition, epoch), reason)
            }
        }
        Ok(reply) => Record {
            sample: sample.id.clone(),
            condition,
            epoch,
            outcome: Outcome::of(&reply.text, ending(reply.finish)),
            finish: Some(reply.finish),
            answer: Some(reply.text),
            error: None,
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
            frames,
            seed,
        },
    }
}

fn failed(
    run: &Run,
    sample: &Sample,
    (condition, epoch): (Condition, u32),
    reason: String,
) -> Record {
    Record {
        sample: sample.id.clone(),
        condition,
        epoch,
        outcome: Outcome::Error,
        finish: None,
        answer: None,
        error: Some(reason),
        prompt_tokens: 0,
        completion_tokens: 0,
        frames: Vec::new(),
        seed: seed(run.settings.generation.seed, &sample.id, epoch),
    }
}

fn ending(finish: Finish) -> Ending {
    match finish {
        Finish::Stop => Ending::Stop,
        Finish::Length => Ending::Limit,
        Finish::ContentFilter => Ending::Block,
    }
}

/// The seed of one sample's answers in one epoch: the same in every condition, so that conditions
/// differ in nothing but what is shown.
fn seed(run: u64, sample: &str, epoch: u32) -> u64 {
    let hash = Sha256::new()
        .chain_update(run.to_le_bytes())
        .chain_update(epoch.to_le_bytes());
    let hash = hash.chain_update(sample.as_bytes()).finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    // TOML and many JSON readers hold 63 bits.
    u64::from_le_bytes(bytes) >> 1
}
