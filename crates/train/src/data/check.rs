//! What is in a data file, and what is wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Processor;
use rayon::prelude::*;
use safety::{Labels, SafetyLabel, Subset};
use sha2::{Digest, Sha256};
use video::Decoder;

use super::official::tags;
use super::{Line, Medium, Record, Task, lines};
use crate::Error;
use crate::feed::{Conversation, Feed, Room, Settings};

/// What the records are for: some need more than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Next-token loss with alarm tokens.
    AtSft,
    /// The same with alarm heads: every record labelled.
    Atc,
    /// Cold start: every answer is the four tags.
    Cot,
    /// Rollouts: the reference has what they are judged by.
    Grpo,
    /// Preferences: every record has an answer to avoid.
    Dpo,
}

/// How to check.
#[derive(Clone, Debug)]
pub struct Checks {
    /// What the records are for, if that is known.
    pub stage: Option<Stage>,
    /// Asks videos and images whether they can be read.
    pub decoder: Decoder,
    /// Counts tokens as this checkpoint would see them.
    pub processor: Option<Arc<Processor>>,
}

/// Whether a record can be learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Unusable,
    /// It can, but somebody should look.
    Doubtful,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// Of the record, if it could be read.
    pub id: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, and what to do.
    pub what: String,
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Lines that are records.
    pub records: usize,
    /// Of each task.
    pub tasks: BTreeMap<Task, usize>,
    /// Of each subset, or of none.
    pub subsets: BTreeMap<Option<Subset>, usize>,
    /// With each pair of labels, visual and textual.
    pub labels: BTreeMap<[Option<SafetyLabel>; 2], usize>,
    /// With a video.
    pub videos: usize,
    /// With an image.
    pub images: usize,
    /// In the order of lines.
    pub problems: Vec<Problem>,
    /// Of the usable records, if tokens were counted: how many each has at most, ascending.
    pub tokens: Option<Vec<usize>>,
}

impl Findings {
    /// Whether something cannot be learnt from.
    pub fn is_unusable(&self) -> bool {
        let mut severities = self.problems.iter().map(|problem| problem.severity);
        severities.any(|severity| severity == Severity::Unusable)
    }
}

/// Reads a file of records to its end, whatever is wrong with it. Reads the header of each video and
/// image once; `progress` is told how many of how many, from several threads.
///
/// # Errors
/// If the file itself cannot be read.
pub fn check(
    path: &Path,
    checks: &Checks,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Findings, Error> {
    let mut findings = Findings::default();
    let mut usable: Vec<(usize, Record)> = Vec::new();
    let mut contents: HashMap<[u8; 32], usize> = HashMap::new();
    for line in lines(path)? {
        let Line { number, record } = line?;
        let record = match record {
            Ok(record) => record,
            Err(what) => {
                findings.add(number, None, Severity::Unusable, what);
                continue;
            }
        };
        findings.count(&record);
        let id = Some(record.id.clone());
        let first = *contents.entry(content(&record)).or_insert(number);
        if first != number {
            let what = format!("says the same as line {first}");
            findings.add(number, id.clone(), Severity::Doubtful, what);
        }
        let wrong = wrong(&record, checks.stage);
        if wrong.is_empty() {
            usable.push((number, record));
        }
        for what in wrong {
            findings.add(number, id.clone(), Severity::Unusable, what);
        }
    }
    match &checks.processor {
        Some(processor) => measure(&mut findings, &usable, (processor, checks), progress)?,
        None => probe(&mut findings, &usable, &checks.decoder, progress),
    }
    findings.problems.sort_by_key(|problem| problem.line);
    Ok(findings)
}

impl Findings {
    fn add(&mut self, line: usize, id: Option<String>, severity: Severity, what: String) {
        self.problems.push(Problem {
            line,
            id,
            severity,
            what,
        });
    }

    fn count(&mut self, record: &Record) {
        self.records += 1;
        *self.tasks.entry(record.task).or_default() += 1;
        *self.subsets.entry(record.subset).or_default() += 1;
        let Labels { visual, textual } = record.labels;
        *self.labels.entry([visual, textual]).or_default() += 1;
        self.videos += usize::from(record.video.is_some());
        self.images += usize::from(record.image.is_some());
    }
}

/// Of all that a model would learn from.
fn content(record: &Record) -> [u8; 32] {
    let nameless = Record {
        id: String::new(),
        ..record.clone()
    };
    let text = serde_json::to_vec(&nameless).unwrap_or_default();
    Sha256::digest(text).into()
}

/// What makes a record useless for the stage, each with its remedy.
fn wrong(record: &Record, stage: Option<Stage>) -> Vec<String> {
    let mut wrong = Vec::new();
    let said = tags(&record.answer);
    if let Some(said) = said
        && [
            (record.labels.visual, said.visual),
            (record.labels.textual, said.textual),
        ]
        .iter()
        .any(|(label, said)| label.is_some() && label != said)
    {
        wrong.push("`labels` and the tags of `answer` contradict each other".to_owned());
    }
    match stage {
        None | Some(Stage::AtSft) => {}
        Some(Stage::Atc) => {
            if record.labels.textual.is_none() {
                wrong.push("has no textual label: label it, or leave it to `at-sft`".to_owned());
            }
            if record.medium().is_some() && record.labels.visual.is_none() {
                wrong.push("has no visual label: label it, or leave it to `at-sft`".to_owned());
            }
        }
        Some(Stage::Cot) => {
            if said.is_none() {
                wrong.push(format!("`answer` {}", without_tags(&record.answer)));
            }
        }
        Some(Stage::Grpo) if record.task == Task::Safety => {
            if said.is_none() {
                wrong.push(format!("`answer` {}", without_tags(&record.answer)));
            }
        }
        Some(Stage::Grpo) => {
            let answer = safety::completion::parse(&record.answer).answer.whole();
            if answer.is_none() {
                wrong.push("`answer` has no whole <answer>…</answer> to compare with".to_owned());
            }
        }
        Some(Stage::Dpo) => match &record.rejected {
            None => wrong.push("has no `rejected` answer".to_owned()),
            Some(rejected) if *rejected == record.answer => {
                wrong.push("`rejected` is the same as `answer`".to_owned());
            }
            Some(_) => {}
        },
    }
    wrong
}

/// Why an answer is not the four tags.
fn without_tags(answer: &str) -> String {
    let parsed = safety::completion::parse(answer);
    let missing: Vec<String> = parsed.missing().map(|tag| tag.to_string()).collect();
    if !missing.is_empty() {
        return format!("has no whole {}", missing.join(", "));
    }
    if parsed.strict {
        return "has a <vidType> or <textType> that is neither 0 nor 1".to_owned();
    }
    "is not exactly the four tags in their order, each once and nothing around them".to_owned()
}

/// Names every line whose video or image cannot be read.
fn probe(
    findings: &mut Findings,
    usable: &[(usize, Record)],
    decoder: &Decoder,
    progress: &(dyn Fn(usize, usize) + Sync),
) {
    let mut users: BTreeMap<PathBuf, Vec<(usize, &str)>> = BTreeMap::new();
    for (line, record) in usable {
        if let Some(Medium::Video(path) | Medium::Image(path)) = record.medium() {
            users.entry(path).or_default().push((*line, &record.id));
        }
    }
    let (total, asked) = (users.len(), std::sync::atomic::AtomicUsize::new(0));
    let unreadable: Vec<(&PathBuf, String)> = users
        .par_iter()
        .filter_map(|(path, _)| {
            let result = decoder.probe(path);
            let before = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress(before + 1, total);
            Some((path, result.err()?.to_string()))
        })
        .collect();
    for (path, what) in unreadable {
        for (line, id) in &users[path] {
            let id = Some((*id).to_owned());
            findings.add(*line, id, Severity::Unusable, what.clone());
        }
    }
}

/// Counts the tokens of what is usable, and names the lines that turn out not to be.
fn measure(
    findings: &mut Findings,
    usable: &[(usize, Record)],
    (processor, checks): (&Arc<Processor>, &Checks),
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(), Error> {
    let mut lines = Vec::with_capacity(usable.len());
    let mut conversations = Vec::with_capacity(usable.len());
    for (line, record) in usable {
        let asked = match (checks.stage, &record.rejected) {
            (Some(Stage::Grpo), _) => vec![Conversation::ask(record)],
            (Some(Stage::Dpo), Some(rejected)) => vec![
                Conversation::learn(record),
                Conversation::answered(record, rejected),
            ],
            _ => vec![Conversation::learn(record)],
        };
        lines.extend(asked.iter().map(|_| *line));
        conversations.extend(asked);
    }
    let settings = Settings {
        processor: Arc::clone(processor),
        decoder: checks.decoder.clone(),
        sampling: processor.sampling(),
        frozen: None,
        disk: None,
        threads: 0,
        room: Room { media: 0, bytes: 0 },
    };
    let feed = Feed::open(conversations, settings, progress)?;
    let mut named = 0;
    for unusable in feed.unusable() {
        // Both halves of a pair fail together.
        if named != lines[unusable.index] {
            named = lines[unusable.index];
            let (id, what) = (unusable.id.to_owned(), unusable.reason.to_owned());
            findings.add(named, Some(id), Severity::Unusable, what);
        }
    }
    let lengths = (0..feed.len()).filter_map(|i| feed.length(i));
    let mut tokens: Vec<usize> = lengths.map(|length| length.tokens).collect();
    tokens.sort_unstable();
    findings.tokens = Some(tokens);
    Ok(())
}
