//! Every question of a benchmark put to a model: sample × condition × epoch, each written down as soon
//! as it is answered.

use std::collections::HashSet;
use std::sync::Arc;

use chat::ChatModel;
use futures::{Stream, StreamExt};
use safety::{Outcome, Sample};

use crate::ahead::{self, Job, Ready, Room};
use crate::ask::{Question, ask};
use crate::error::{Error, Result};
use crate::frames::FrameSource;
use crate::journal::{Journal, Key, Record};
use crate::{Benchmark, Condition, Run};

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

/// Who takes part in an evaluation.
#[derive(Clone)]
pub struct Parties<'a> {
    /// The model under evaluation.
    pub model: &'a dyn ChatModel,
    /// Where frames come from.
    pub frames: Arc<dyn FrameSource>,
}

/// Asks every open question and gives all records of the run, those of earlier processes included.
/// A sample that fails is a record with [`Outcome::Error`]; the run goes on.
///
/// As many samples are asked side by side as the model works on at once, while the videos of the next
/// ones are decoded; one sample's conditions and epochs are asked one after another and share its
/// frames. Dropping the future loses only the answers that were not there yet. Needs a tokio runtime.
///
/// # Errors
/// If the run was opened to be read, or the journal cannot be read or written. What was written stays,
/// and the run can be resumed.
pub async fn evaluate(
    run: &Run,
    benchmark: &Benchmark,
    parties: Parties<'_>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Record>> {
    if !run.is_ours() {
        return Err(Error::ReadOnly {
            run: run.folder.clone(),
        });
    }
    let (mut journal, mut records) = Journal::open(&run.journal_path())?;
    let open = open(run, benchmark, &records);
    let total = records.len() + open.iter().map(|open| open.asked.len()).sum::<usize>();
    let is_error = |record: &Record| record.outcome == Outcome::Error;
    let mut errors = records.iter().filter(|record| is_error(record)).count();
    let show = |done: usize, errors: usize| {
        progress(Progress {
            done,
            total,
            errors,
        });
    };
    show(records.len(), errors);

    let mut answers = std::pin::pin!(answers(run, benchmark, &parties, open));
    while let Some(record) = answers.next().await {
        journal.append(&record)?;
        errors += usize::from(is_error(&record));
        records.push(record);
        show(records.len(), errors);
    }
    Ok(records)
}

/// The questions of one sample that are still open.
struct Open<'a> {
    sample: &'a Sample,
    asked: Vec<(Condition, u32)>,
}

/// The questions that have no record yet, sample by sample in the benchmark's order.
fn open<'a>(run: &Run, benchmark: &'a Benchmark, records: &[Record]) -> Vec<Open<'a>> {
    let mut known: HashSet<Key> = records.iter().map(Record::key).collect();
    let mut of = |sample: &'a Sample| {
        let mut asked = Vec::new();
        for epoch in 0..run.settings.epochs {
            for &condition in &run.settings.conditions {
                let key = Key {
                    sample: sample.id.clone(),
                    condition,
                    epoch,
                };
                if condition.fits(sample) && known.insert(key) {
                    asked.push((condition, epoch));
                }
            }
        }
        Open { sample, asked }
    };
    let all: Vec<Open<'_>> = benchmark.samples.iter().map(&mut of).collect();
    all.into_iter()
        .filter(|open| !open.asked.is_empty())
        .collect()
}

/// Records in the order in which answers come; with a model that does one thing at a time, in the
/// order of the benchmark.
fn answers<'a>(
    run: &'a Run,
    benchmark: &'a Benchmark,
    parties: &'a Parties<'a>,
    open: Vec<Open<'a>>,
) -> impl Stream<Item = Record> + 'a {
    let at_once = parties.model.concurrency().max(1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let room = Room::new();
    futures::stream::iter(open)
        .map(move |open| {
            let room = Arc::clone(&room);
            async move {
                let ready = match job(run, benchmark, parties, &open) {
                    Some(job) => ahead::ready(job, &room).await,
                    None => Ready::without_video(),
                };
                (open, ready)
            }
        })
        // One more than are asked: it is decoded meanwhile.
        .buffered(at_once.min(cores) + 1)
        .flat_map_unordered(at_once, move |(open, ready)| {
            let ready = Arc::new(ready);
            let sample = open.sample;
            let ask = move |(condition, epoch)| {
                let question = Question {
                    sample,
                    condition,
                    epoch,
                };
                let shown = ready.shown(condition);
                ask(&run.settings, parties.model, question, shown)
            };
            Box::pin(futures::stream::iter(open.asked).then(ask))
        })
}

/// What has to be decoded before a sample is asked.
fn job(run: &Run, benchmark: &Benchmark, parties: &Parties<'_>, open: &Open<'_>) -> Option<Job> {
    let mut conditions: Vec<Condition> = open
        .asked
        .iter()
        .map(|(condition, _)| *condition)
        .filter(|condition| condition.needs_video())
        .collect();
    conditions.sort();
    conditions.dedup();
    if conditions.is_empty() {
        return None;
    }
    Some(Job {
        source: Arc::clone(&parties.frames),
        sample: open.sample.clone(),
        video: benchmark.video(open.sample)?,
        conditions,
        pictures: run.frames_path(),
    })
}
