//! Mixtures: so many records of each file, drawn by a seed.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use safety::SafetyLabel;

use super::places::Base;
use super::write::Writer;
use super::{Bad, Line, Record, lines};
use crate::Error;

/// A file and how much of it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Our records.
    pub file: PathBuf,
    /// How many of them.
    pub count: usize,
    /// What a label means that is not there.
    pub unlabelled: Unlabelled,
}

/// What is made of records without a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unlabelled {
    /// It stays unknown.
    #[default]
    Unknown,
    /// It is safe: for general data, of which the user knows so (the official mixture's rule).
    Safe,
}

/// What came of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records that it has.
    pub of: usize,
    /// Records that got a label.
    pub labelled: usize,
    /// Records whose id another file has too, and which got the file's name before it.
    pub renamed: usize,
}

/// Writes records of all files, mixed, as `output`; gives what came of each file. Same seed and same
/// files: same bytes. What is drawn from one file does not depend on the others. Only what is drawn
/// is held in memory.
///
/// # Errors
/// If a file has bad lines or too few records, or media are not below the output's folder.
pub fn mix(output: &Path, takes: &[Take], seed: u64) -> Result<Vec<Taken>, Error> {
    let base = Base::of_file(output)?;
    let mut mixed: Vec<Record> = Vec::new();
    let mut all = Vec::with_capacity(takes.len());
    let mut ids = HashSet::new();
    for (stream, take) in (0..).zip(takes) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let (records, of) = drawn(take, &mut rng)?;
        let mut taken = Taken {
            of,
            ..Taken::default()
        };
        let from = Base::of_file(&take.file)?;
        let mut bad = Bad::of(&take.file);
        for mut record in records {
            if take.unlabelled == Unlabelled::Safe {
                taken.labelled += usize::from(label_safe(&mut record));
            }
            if ids.contains(&record.id) {
                let stem = take.file.file_stem().unwrap_or_default().to_string_lossy();
                record.id = format!("{stem}/{}", record.id);
                taken.renamed += 1;
            }
            if !ids.insert(record.id.clone()) {
                bad.push(format!("id `{}` is in the mixture already", record.id));
            }
            let folder = take.file.parent().unwrap_or(Path::new(""));
            if let Some(path) = record.path_mut() {
                let below = path.strip_prefix(folder).unwrap_or(path);
                match from.whole(below).and_then(|whole| base.relative(&whole)) {
                    Ok(relative) => *path = relative,
                    Err(reason) => bad.push(format!("record {}: {reason}", record.id)),
                }
            }
            mixed.push(record);
        }
        bad.none()?;
        all.push(taken);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(takes.len() as u64);
    mixed.shuffle(&mut rng);
    let mut writer = Writer::new(output)?;
    for record in &mixed {
        writer.put(record)?;
    }
    writer.finish()?;
    Ok(all)
}

/// The records drawn from one file, in its order, and how many it has.
fn drawn(take: &Take, rng: &mut ChaCha8Rng) -> Result<(Vec<Record>, usize), Error> {
    let mut bad = Bad::of(&take.file);
    let mut of = 0;
    for line in lines(&take.file)? {
        let Line { number, record } = line?;
        match record {
            Ok(_) => of += 1,
            Err(reason) => bad.push(format!("line {number}: {reason}")),
        }
    }
    bad.none()?;
    if of < take.count {
        return Err(Error::BadFile {
            path: take.file.clone(),
            problem: format!("has {of} records, {} were asked for", take.count),
        });
    }
    let chosen: BTreeSet<usize> = index::sample(rng, of, take.count).into_iter().collect();
    let mut records = Vec::with_capacity(take.count);
    for (i, line) in lines(&take.file)?.enumerate() {
        if let (true, Ok(record)) = (chosen.contains(&i), line?.record) {
            records.push(record);
        }
    }
    Ok((records, of))
}

fn label_safe(record: &mut Record) -> bool {
    let labels = &mut record.labels;
    let missing = labels.visual.is_none() || labels.textual.is_none();
    for label in [&mut labels.visual, &mut labels.textual] {
        label.get_or_insert(SafetyLabel::Safe);
    }
    missing
}
