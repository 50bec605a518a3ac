//! Data files from one format to another, record by record, in memory that does not grow with the file.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde_json::Value;

use super::elements::{Elements, Text};
use super::official::{self, Read, grpo, sft};
use super::places::Base;
use super::write::Writer;
use super::{Bad, Record, check_record};
use crate::Error;
use crate::error::At;

/// How records are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// [`Record`] itself; media relative to the file's folder.
    Alarum,
    /// The official code's conversations.
    Sft,
    /// The official code's problems.
    Grpo,
}

/// What 0 and 1 mean in the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convention {
    /// 0 safe, 1 harmful.
    #[default]
    Current,
    /// 0 harmful, 1 safe, as in older files: fields, markers and tags are flipped.
    Reversed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Conversion<'a> {
    /// Format of the input.
    pub from: Format,
    /// Format of the output.
    pub to: Format,
    /// What the input's labels mean.
    pub labels: Convention,
    /// Folder that the media paths of official files are relative to; without it each file's own.
    pub videos: Option<&'a Path>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// Written.
    pub records: usize,
    /// Of these, without any label.
    pub unlabelled: usize,
    /// Of these, with one label of two.
    pub half_labelled: usize,
    /// Keys that our records have no place for, and how many records had them.
    pub ignored: BTreeMap<String, usize>,
}

/// Writes the records of `input` as `output`: as a JSON array if that name ends with `.json`, else a
/// line each. Official files are read in either form.
///
/// # Errors
/// If any record cannot be read, or cannot be said in the other format: the first few are named, and
/// nothing is written.
pub fn convert(input: &Path, output: &Path, how: &Conversion<'_>) -> Result<Converted, Error> {
    let base = |format, file| match (format, how.videos) {
        (Format::Sft | Format::Grpo, Some(folder)) => Base::of_folder(folder),
        _ => Base::of_file(file),
    };
    let (from, to) = (base(how.from, input)?, base(how.to, output)?);
    let file = BufReader::new(File::open(input).at("open", input)?);
    let mut elements = match how.from {
        Format::Alarum => Elements::lines(file),
        Format::Sft | Format::Grpo => Elements::of_either(file),
    };
    let stem = input.file_stem().unwrap_or_default().to_string_lossy();
    let mut done = Converted::default();
    let mut ids = HashSet::new();
    let mut bad = Bad::of(input);
    let mut writer = Writer::new(output)?;
    for number in 1.. {
        let Some(element) = elements.next().at("read", input)? else {
            break;
        };
        let mut id = String::new();
        let read = match element.text {
            Text::Bad(reason) => Err(reason),
            Text::Whole(text) => read(&text, how.from, &mut id),
        };
        let named = match id.as_str() {
            "" => String::new(),
            id => format!(" ({id})"),
        };
        if id.is_empty() {
            id = format!("{stem}-{number}");
        }
        let written = read.and_then(
            |Read {
                 mut record,
                 ignored,
             }| {
                record.id.clone_from(&id);
                if !ids.insert(id.clone()) {
                    return Err("another record has the same id".to_owned());
                }
                check_record(&record)?;
                if how.labels == Convention::Reversed {
                    record = official::flip(record)?;
                }
                if let Some(path) = record.path_mut() {
                    *path = to.relative(&from.whole(path)?)?;
                }
                let value = write(&record, how.to)?;
                Ok((record, ignored, value))
            },
        );
        match written {
            Err(reason) => bad.push(format!("line {}{named}: {reason}", element.line)),
            Ok((record, ignored, value)) => {
                writer.put(&value)?;
                done.count(&record, ignored);
            }
        }
    }
    bad.none()?;
    writer.finish()?;
    Ok(done)
}

impl Converted {
    fn count(&mut self, record: &Record, ignored: Vec<String>) {
        self.records += 1;
        match (record.labels.visual, record.labels.textual) {
            (None, None) => self.unlabelled += 1,
            (Some(_), Some(_)) => {}
            _ => self.half_labelled += 1,
        }
        for key in ignored {
            *self.ignored.entry(key).or_default() += 1;
        }
    }
}

/// A record; `id` is set also if only that can be read.
fn read(text: &[u8], format: Format, id: &mut String) -> Result<Read, String> {
    let key = match format {
        Format::Alarum | Format::Sft => "id",
        Format::Grpo => "problem_id",
    };
    let mut value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    *id = official::take_id(&mut value, key)?;
    match format {
        Format::Sft => sft::read(value),
        Format::Grpo => grpo::read(value),
        Format::Alarum => {
            value["id"] = id.as_str().into();
            let record = serde_json::from_value(value).map_err(|error| error.to_string())?;
            let ignored = Vec::new();
            Ok(Read { record, ignored })
        }
    }
}

fn write(record: &Record, format: Format) -> Result<Value, String> {
    match format {
        Format::Sft => sft::write(record),
        Format::Grpo => grpo::write(record),
        Format::Alarum => serde_json::to_value(record).map_err(|error| error.to_string()),
    }
}
