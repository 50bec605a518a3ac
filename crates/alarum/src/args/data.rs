//! `alarum data …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Rewrite a data file in another format; what the other format cannot say is refused
    Convert(Convert),
    /// Draw records of several files into one
    Mix(Mix),
    /// Say what is in a data file, and name every record that cannot be used
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// File to read
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// File to write: a JSON array if it ends with .json, else a record a line
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Format of IN
    #[arg(long, value_enum)]
    pub from: Format,
    /// Format of OUT
    #[arg(long, value_enum)]
    pub to: Format,
    /// In IN, 0 is harmful and 1 is safe (older files): flip label fields, `$v$t` markers and tags
    #[arg(long)]
    pub flip_labels: bool,
    /// Folder that the media paths of official files are relative to; by default the file's own
    #[arg(long, value_name = "DIR")]
    pub videos: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Our records, one a line
    Alarum,
    /// The official code's conversations (alarm tokens, cold start)
    Sft,
    /// The official code's problems (GRPO)
    Grpo,
}

#[derive(Debug, Args)]
pub(crate) struct Mix {
    /// File to write: our records, one a line
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Draw so many records of this file (our format); may be given more than once
    #[arg(long, value_name = "FILE=N", required = true, value_parser = take)]
    pub take: Vec<(PathBuf, usize)>,
    /// Of what is drawn and of the order
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Records of this file without labels are safe, video and text; without it they stay unlabelled
    #[arg(long, value_name = "FILE")]
    pub assume_safe: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Our records, one a line
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Count tokens as this checkpoint would see them
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// What the records are for
    #[arg(long, value_enum)]
    pub stage: Option<DataStage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataStage {
    /// Alarm tokens, next-token loss
    AtSft,
    /// Alarm tokens and heads: labels
    Atc,
    /// Cold start: the four tags
    Cot,
    /// Rollouts: something to judge them by
    Grpo,
    /// Preferences: a rejected answer
    Dpo,
}

fn take(text: &str) -> Result<(PathBuf, usize), String> {
    let parted = text.rsplit_once('=').filter(|(file, _)| !file.is_empty());
    let (file, count) = parted.ok_or("expected FILE=N, as in general.jsonl=2000")?;
    let count = count.parse();
    let count = count.map_err(|_| format!("`{text}` does not end with a number of records"))?;
    Ok((file.into(), count))
}
