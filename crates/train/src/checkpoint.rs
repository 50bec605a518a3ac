//! `checkpoint-N/` folders: a model that can be used as it is, and all that the run needs to go on.
//!
//! A folder is written under another name, put on the disk and then renamed, so that one that has
//! its name is complete. Nothing random needs a place here: the data order is a function of seed and
//! position.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::At;
use crate::optimizer::AdamW;
use crate::order::Position;
use crate::{BoxError, Error};

pub(crate) const STATE: &str = "state.json";
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
const NAME: &str = "checkpoint-";
/// What a folder is called before it is complete.
const ASIDE: &str = ".writing-checkpoint-";
const VERSION: u32 = 1;

/// The weights, as the stage keeps them.
pub trait Artifacts {
    /// Writes everything that makes `folder` a usable model, and from which [`Artifacts::load`]
    /// restores the trainable weights to the bit.
    fn save(&self, folder: &Path) -> Result<(), BoxError>;

    /// Sets the trainable weights to those of `folder`.
    fn load(&self, folder: &Path) -> Result<(), BoxError>;
}

/// Where a run is, beside weights and optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Of this format.
    pub version: u32,
    /// Optimizer steps taken.
    pub step: usize,
    /// The next micro-batch.
    pub position: Position,
    /// The resolved recipe.
    pub recipe: serde_json::Value,
    /// SHA-256 over the samples' ids, lengths, target counts and labels.
    pub data: String,
    /// Sizes in bytes of the other files here.
    #[serde(default)]
    pub files: BTreeMap<String, u64>,
}

impl State {
    /// Of a run that has not begun.
    pub fn new(recipe: serde_json::Value, data: String) -> Self {
        Self {
            version: VERSION,
            step: 0,
            position: Position::default(),
            recipe,
            data,
            files: BTreeMap::new(),
        }
    }
}

/// Writes `RUN/checkpoint-N`, on the disk when this returns.
pub fn write(
    run: &Path,
    state: &State,
    optimizer: &AdamW,
    artifacts: &dyn Artifacts,
) -> Result<PathBuf, Error> {
    let aside = run.join(format!("{ASIDE}{}", state.step));
    remove(&aside)?;
    fs::create_dir(&aside).at("create", &aside)?;
    artifacts.save(&aside).map_err(|source| Error::Save {
        path: aside.clone(),
        source,
    })?;
    optimizer.save(&aside.join(OPTIMIZER))?;
    let state = State {
        files: sizes(&aside)?,
        ..state.clone()
    };
    let path = aside.join(STATE);
    let text = serde_json::to_vec_pretty(&state).expect("the state is plain data with text keys");
    fs::write(&path, text).at("write", &path)?;
    for name in sizes(&aside)?.into_keys() {
        sync(&aside.join(name))?;
    }
    sync(&aside)?;
    let path = run.join(format!("{NAME}{}", state.step));
    // Only an incomplete one can be here: a complete one would have been resumed from.
    remove(&path)?;
    fs::rename(&aside, &path).at("rename to", &path)?;
    sync(run)?;
    Ok(path)
}

/// Removes all but the newest `keep` checkpoints of those that `planned` says the recipe asks for, and
/// all others.
pub fn prune(run: &Path, keep: usize, planned: impl Fn(usize) -> bool) -> Result<(), Error> {
    let (asked, others): (Vec<_>, Vec<_>) =
        list(run)?.into_iter().partition(|(step, _)| planned(*step));
    let old = asked.iter().rev().skip(keep);
    old.chain(&others).try_for_each(|(_, path)| remove(path))
}

/// The newest complete checkpoint of a run. Others that are newer, and leftovers of interrupted
/// writing, are removed.
pub fn newest(run: &Path) -> Result<Option<(PathBuf, State)>, Error> {
    for entry in fs::read_dir(run).at("list", run)? {
        let path = entry.at("list", run)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(ASIDE) {
            remove(&path)?;
        }
    }
    for path in list(run)?.into_values().rev() {
        match read(&path)? {
            Ok(state) => return Ok(Some((path, state))),
            Err(problem) => {
                tracing::warn!(path = %path.display(), problem, "removing an incomplete checkpoint");
                remove(&path)?;
            }
        }
    }
    Ok(None)
}

/// Sets weights and optimizer to those of a checkpoint.
pub fn restore(path: &Path, optimizer: &mut AdamW, artifacts: &dyn Artifacts) -> Result<(), Error> {
    optimizer.load(&path.join(OPTIMIZER))?;
    artifacts.load(path).map_err(|source| Error::Restore {
        path: path.to_owned(),
        source,
    })
}

/// Refuses to go on with another recipe or other data, and says what differs.
pub fn refuse_other(path: &Path, then: &State, now: &State) -> Result<(), Error> {
    let mut differences = Vec::new();
    compare("", &then.recipe, &now.recipe, &mut differences);
    if then.data != now.data {
        differences.push("the training samples".to_owned());
    }
    match differences.is_empty() {
        true => Ok(()),
        false => Err(Error::OtherRun {
            path: path.to_owned(),
            differences,
        }),
    }
}

fn compare(
    key: &str,
    then: &serde_json::Value,
    now: &serde_json::Value,
    differences: &mut Vec<String>,
) {
    use serde_json::Value::{Null, Object};
    match (then, now) {
        (Object(old), Object(new)) => {
            let keys = old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)));
            for name in keys {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                let pick = |map: &serde_json::Map<_, _>| map.get(name).cloned().unwrap_or(Null);
                compare(&key, &pick(old), &pick(new), differences);
            }
        }
        _ if then == now => {}
        _ => differences.push(format!("{key}: {then} → {now}")),
    }
}

/// The state of a checkpoint, or what it lacks.
fn read(path: &Path) -> Result<Result<State, String>, Error> {
    let file = path.join(STATE);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Err(format!("{STATE} is missing")));
        }
        Err(error) => return Err(error).at("read", &file),
    };
    let state: State = serde_json::from_slice(&text).map_err(|error| Error::BadFile {
        path: file.clone(),
        problem: error.to_string(),
    })?;
    if state.version != VERSION {
        let problem = format!(
            "has version {}, this program writes {VERSION}",
            state.version
        );
        return Err(Error::BadFile {
            path: file,
            problem,
        });
    }
    let there = sizes(path)?;
    let torn = state
        .files
        .iter()
        .find(|(name, size)| there.get(*name) != Some(size));
    Ok(match torn {
        Some((name, size)) => Err(format!("{name} is missing or not of {size} bytes")),
        None => Ok(state),
    })
}

/// All `checkpoint-N` of a run by N.
fn list(run: &Path) -> Result<BTreeMap<usize, PathBuf>, Error> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(run).at("list", run)? {
        let path = entry.at("list", run)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(Ok(step)) = name.strip_prefix(NAME).map(str::parse) {
            found.insert(step, path);
        }
    }
    Ok(found)
}

fn sizes(folder: &Path) -> Result<BTreeMap<String, u64>, Error> {
    let mut sizes = BTreeMap::new();
    for entry in fs::read_dir(folder).at("list", folder)? {
        let entry = entry.at("list", folder)?;
        let bytes = entry.metadata().at("look at", &entry.path())?.len();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != STATE {
            sizes.insert(name, bytes);
        }
    }
    Ok(sizes)
}

/// Away under another name first, so that a half-removed folder never has a checkpoint's name.
fn remove(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut doomed = path.to_owned();
    if !name.starts_with(ASIDE) {
        doomed = path.with_file_name(format!("{ASIDE}{name}"));
        remove(&doomed)?;
        fs::rename(path, &doomed).at("remove", path)?;
    }
    fs::remove_dir_all(&doomed).at("remove", &doomed)
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .at("sync", path)
}
