//! A run as TensorBoard reads it: `tensorboard/events.out.tfevents.*` in the run's folder, one scalar for
//! each number of a step and one text for the completions that were sampled in it.
//!
//! It is a mirror of `events.jsonl` and `rollouts.jsonl`, which are the truth: it is written anew from them
//! whenever the run begins or resumes, and then added to. So no step is in it twice, whatever happened.

mod wire;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::Error;
use crate::error::At;
use crate::events::{self, Event, Step};

/// The folder's name in the run's folder.
pub const FOLDER: &str = "tensorboard";
/// What the names of TensorBoard's files begin with.
const PREFIX: &str = "events.out.tfevents.";
/// What ours end in, so that files of other writers are left alone.
const SUFFIX: &str = ".alarum";
/// Tag of the sampled completions.
const COMPLETIONS: &str = "completions";
/// Bytes of the longest line of `rollouts.jsonl` that is read.
const LONGEST: u64 = 16 << 20;
/// Completions of one step that are written.
const SHOWN: usize = 4;

/// A completion as TensorBoard shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// Id of its prompt.
    pub prompt: String,
    /// What the model wrote.
    pub text: String,
    /// What it earned.
    pub reward: f64,
}

/// The open event file of a run in progress.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    /// Seconds since 1970 of the last event.
    now: f64,
}

/// Writes the event file of a run's folder anew from its `events.jsonl`, and from `rollouts.jsonl` where
/// there is one; what it gives is added to step by step. Call it once the journal is open, so that steps
/// which will happen again are no longer in it.
///
/// The clock of the mirrored steps runs back from now by what they took.
///
/// # Errors
/// If `events.jsonl` cannot be read, or the file cannot be written.
pub fn mirror(run: &Path) -> Result<Writer, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    mirror_at(run, now.map_or(0.0, |since| since.as_secs_f64()))
}

fn mirror_at(run: &Path, now: f64) -> Result<Writer, Error> {
    let steps: Vec<Step> = events::read(run)?
        .into_iter()
        .filter_map(|event| match event {
            Event::Step(step) => Some(step),
            _ => None,
        })
        .collect();
    let mut completions = completions(run)?;
    let folder = run.join(FOLDER);
    std::fs::create_dir_all(&folder).at("create", &folder)?;
    let before = ours(&folder)?;
    // A later name than any before: a TensorBoard that is watching goes on to it.
    let number = before
        .iter()
        .map(|(number, _)| number + 1)
        .max()
        .unwrap_or(0);
    let path = folder.join(format!("{PREFIX}{number:010}{SUFFIX}"));
    let aside = folder.join("mirror.tmp");
    let mut writer = Writer {
        file: File::create(&aside).at("create", &aside)?,
        path: aside.clone(),
        now: now - steps.iter().map(|step| step.seconds).sum::<f64>(),
    };
    writer.write(&wire::file_version(writer.now))?;
    // Makes a TensorBoard that is watching forget what it read from earlier files.
    writer.write(&wire::session_start(writer.now))?;
    for step in &steps {
        writer.step(step)?;
        if let Some(found) = completions.remove(&step.step) {
            writer.completions(step.step, &found)?;
        }
    }
    std::fs::rename(&aside, &path).at("rename", &aside)?;
    for (_, old) in before {
        std::fs::remove_file(&old).at("remove", &old)?;
    }
    let file = OpenOptions::new()
        .append(true)
        .open(&path)
        .at("open", &path)?;
    Ok(Writer {
        file,
        path,
        now: writer.now,
    })
}

impl Writer {
    /// Adds an optimizer step: its loss, the parts of it (`reward.format` as `reward/format`), the
    /// gradient's norm, each learning rate, and tokens a second.
    ///
    /// # Errors
    /// If it cannot be written, for instance on a full disk.
    pub fn step(&mut self, step: &Step) -> Result<(), Error> {
        self.now += step.seconds;
        let mut scalars = vec![("loss".to_owned(), step.loss)];
        scalars.extend(
            step.parts
                .iter()
                .map(|(name, value)| (name.replace('.', "/"), *value)),
        );
        scalars.push(("grad_norm".to_owned(), step.grad_norm as f32));
        for (group, rate) in &step.learning_rates {
            scalars.push((format!("learning_rate/{group}"), *rate as f32));
        }
        if step.seconds > 0.0 {
            let pace = step.tokens as f64 / step.seconds;
            scalars.push(("tokens_per_second".to_owned(), pace as f32));
        }
        self.write(&wire::scalars(self.now, step.step, &scalars))
    }

    /// Adds the first few of the completions that were sampled in a step.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn completions(&mut self, step: usize, completions: &[Completion]) -> Result<(), Error> {
        let text: Vec<String> = completions.iter().take(SHOWN).map(markdown).collect();
        self.write(&wire::text(self.now, step, COMPLETIONS, &text.join("\n")))
    }

    fn write(&mut self, event: &[u8]) -> Result<(), Error> {
        self.file
            .write_all(&wire::record(event))
            .at("append to", &self.path)
    }
}

/// What a model wrote as a block of code: no mark-up of it has an effect.
fn markdown(completion: &Completion) -> String {
    let block = |text: &str| -> String {
        let lines = text.lines().map(|line| format!("    {line}\n"));
        lines.collect()
    };
    format!(
        "**reward {:.3}**\n\n{}\n{}",
        completion.reward,
        block(&format!("prompt {}", completion.prompt)),
        block(&completion.text)
    )
}

/// Our files of a folder with their numbers.
fn ours(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).at("list", folder)? {
        let entry = entry.at("list", folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_suffix(SUFFIX))
            .and_then(|number| number.parse().ok());
        found.extend(number.map(|number| (number, entry.path())));
    }
    Ok(found)
}

/// The first completions of each step. Lines that are no rollouts, as one torn by an interruption, are
/// passed over: they are missing from a picture, not from the run.
fn completions(run: &Path) -> Result<BTreeMap<usize, Vec<Completion>>, Error> {
    #[derive(Deserialize)]
    struct Rollout {
        step: usize,
        prompt: String,
        index: usize,
        text: String,
        reward: f64,
    }
    let mut found = BTreeMap::<usize, Vec<Completion>>::new();
    let path = run.join("rollouts.jsonl");
    if !path.is_file() {
        return Ok(found);
    }
    let mut lines = BufReader::new(File::open(&path).at("open", &path)?);
    loop {
        let mut line = Vec::new();
        let read = (&mut lines).take(LONGEST).read_until(b'\n', &mut line);
        if read.at("read", &path)? == 0 {
            return Ok(found);
        }
        let Ok(rollout) = serde_json::from_slice::<Rollout>(&line) else {
            continue;
        };
        let step = found.entry(rollout.step).or_default();
        if rollout.index == 0 && step.len() < SHOWN {
            step.push(Completion {
                prompt: rollout.prompt,
                text: rollout.text,
                reward: rollout.reward,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Journal, RunStart};

    fn step(number: usize) -> Step {
        Step {
            step: number,
            epoch: 0,
            loss: 1.5 / number as f32,
            parts: BTreeMap::from([
                ("reward".to_owned(), 0.5),
                ("reward.format".to_owned(), 0.25 * number as f32),
            ]),
            grad_norm: 0.75,
            learning_rates: BTreeMap::from([("default".to_owned(), 1e-3)]),
            samples: 8,
            tokens: 100,
            targets: 10,
            seconds: 0.5,
        }
    }

    fn start() -> Event {
        Event::RunStart(RunStart {
            version: 1,
            recipe: serde_json::Value::Null,
            seed: 0,
            versions: BTreeMap::new(),
            data: String::new(),
            samples: 8,
            parameters: 1,
            steps: 3,
        })
    }

    /// A run of `steps` steps with a completion after the second.
    fn run(steps: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path()).unwrap();
        journal.write(&start()).unwrap();
        for number in 1..=steps {
            journal.write(&Event::Step(step(number))).unwrap();
        }
        let rollout = r#"{"step":2,"prompt":"a","index":0,"seed":1,"text":"<think>\n</think> # über","tokens":3,"finish":"stop","rewards":{"format":1.0},"alpha":0.3,"reward":1.5,"advantage":0.1}"#;
        let other = rollout.replace("\"index\":0", "\"index\":1");
        let text = format!("{rollout}\n{other}\n{}", &rollout[..40]);
        std::fs::write(folder.path().join("rollouts.jsonl"), text).unwrap();
        folder
    }

    /// The only event file of a run.
    fn bytes(run: &Path) -> Vec<u8> {
        let files: Vec<_> = std::fs::read_dir(run.join(FOLDER)).unwrap().collect();
        assert_eq!(files.len(), 1);
        std::fs::read(files[0].as_ref().unwrap().path()).unwrap()
    }

    #[test]
    fn the_file_is_the_one_that_tensorboard_writes() {
        let run = run(3);
        mirror_at(run.path(), 1_000_001.5).unwrap();
        let golden = include_bytes!("../tests/goldens/tensorboard/run.tfevents");
        assert!(bytes(run.path()) == golden);
    }

    #[test]
    fn what_is_added_is_what_a_mirror_writes() {
        let whole = run(3);
        mirror_at(whole.path(), 1_000_001.5).unwrap();
        let grown = run(2);
        let mut writer = mirror_at(grown.path(), 1_000_001.0).unwrap();
        writer.step(&step(3)).unwrap();
        assert!(bytes(grown.path()) == bytes(whole.path()));
    }

    #[test]
    fn a_run_that_resumes_has_no_step_twice() {
        let run = run(3);
        mirror_at(run.path(), 1_000_001.5).unwrap();
        let first = bytes(run.path());
        // Killed after step 3, with the file torn; the newest checkpoint is of step 2.
        Journal::resume(run.path(), 2).unwrap();
        let mut writer = mirror_at(run.path(), 1_000_001.0).unwrap();
        writer.step(&step(3)).unwrap();
        assert!(bytes(run.path()) == first);
    }

    #[test]
    fn files_of_others_are_left_alone() {
        let run = run(1);
        let other = run.path().join(FOLDER).join("events.out.tfevents.1.host");
        std::fs::create_dir_all(other.parent().unwrap()).unwrap();
        std::fs::write(&other, "theirs").unwrap();
        mirror_at(run.path(), 0.0).unwrap();
        mirror_at(run.path(), 0.0).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"theirs");
        assert_eq!(
            std::fs::read_dir(run.path().join(FOLDER)).unwrap().count(),
            2
        );
    }

    #[test]
    fn what_a_model_wrote_has_no_mark_up() {
        let hostile = Completion {
            prompt: "a\n# b".to_owned(),
            text: "# <script>\n\n- [x](http://a)".to_owned(),
            reward: -1.0,
        };
        let shown = markdown(&hostile);
        let marked = shown
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("    "));
        assert_eq!(marked.collect::<Vec<_>>(), ["**reward -1.000**"]);
    }
}
