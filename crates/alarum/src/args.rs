//! What can be typed. Each command's own meaning is in `commands/<its name>.rs`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod data;
mod train;

pub(crate) use data::{Check, Convert, Data, DataStage, Format, Mix};
pub(crate) use train::{Ablate, StageKind, Train, TrainCommand, TrainPlan, TrainRun};

/// Safety evaluation and safety training of video language models.
#[derive(Debug, Parser)]
#[command(name = "alarum", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask a model every query of a benchmark, with the video and without it, and score its answers
    Eval(Eval),
    /// Ask a model one question, perhaps about a video
    Chat(Chat),
    /// Show exactly what a model sees: frames, tokens, logits
    #[command(subcommand)]
    Inspect(Inspect),
    /// Print the results of a run, and write its HTML report
    Report(Report),
    /// Set aside the lines of a run's journal that cannot be read, so that it can be resumed
    Repair {
        /// Run folder
        #[arg(value_name = "RUN")]
        run: PathBuf,
    },
    /// Work with benchmark folders
    #[command(subcommand)]
    Bench(Bench),
    /// Convert, mix and check training data
    #[command(subcommand)]
    Data(Data),
    /// Train a model: one stage, or the chain of a recipe
    Train(Box<Train>),
    /// Train and evaluate every row of an ablation table, with several seeds
    Ablate(Ablate),
    /// Show the main job end to end on the miniature world
    Demo(Demo),
    /// Say what this machine has, what is missing and how to get it
    Doctor,
}

impl Command {
    /// Whether it keeps every core busy for long.
    pub(crate) fn is_long(&self) -> bool {
        matches!(
            self,
            Self::Eval(_) | Self::Train(_) | Self::Ablate(_) | Self::Demo(_)
        )
    }
}

/// A local checkpoint and how it is loaded.
#[derive(Debug, Args)]
pub(crate) struct Model {
    /// Hugging Face checkpoint folder of a VideoLLaMA3 (original or `transformers` layout)
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub dtype: Precision,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = Place::Cpu)]
    pub device: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    F32,
    Bf16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    Cpu,
    /// The first CUDA device; needs a build with `--features cuda`
    Cuda,
    /// The Metal device; needs a build with `--features metal`
    Metal,
}

/// How text is decoded.
#[derive(Debug, Args)]
pub(crate) struct Decoding {
    /// Cut the answer after so many tokens
    #[arg(long, default_value_t = 512, value_name = "N")]
    pub max_tokens: usize,
    /// 0 is greedy
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f64,
    /// Keep the likeliest tokens whose probability reaches this; 1 keeps all
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f64,
    /// Keep only so many of the likeliest tokens; 0 keeps all
    #[arg(long, default_value_t = 0)]
    pub top_k: usize,
    /// Of everything random
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: u64,
}

/// What is shown with the question.
#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// A video file, or a folder of images taken as its frames in the order of their names
    #[arg(long, value_name = "PATH")]
    pub video: Option<PathBuf>,
    /// A still image; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub image: Vec<PathBuf>,
    #[command(flatten)]
    pub frames: Frames,
}

/// Which frames of a video are shown.
#[derive(Debug, Args)]
pub(crate) struct Frames {
    /// Frames a second, of the sampling or of a folder of images; the default is the checkpoint's
    #[arg(long)]
    pub fps: Option<f64>,
    /// At most so many frames; the default is the checkpoint's
    #[arg(long, value_name = "N")]
    pub max_frames: Option<usize>,
    /// How frames are chosen; the default is VideoLLaMA3's own rule
    #[arg(long, value_enum, default_value_t = Rule::Fps)]
    pub sampling: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rule {
    /// VideoLLaMA3's own: ffmpeg's fps filter, then evenly down to the cap
    Fps,
    /// The `transformers` port's: by frame index
    Transformers,
    /// So many frames (`--max-frames`), each in the middle of an equal part
    Uniform,
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    #[command(flatten)]
    pub model: Model,
    /// Benchmark folder: benchmark.toml, samples.jsonl, videos/
    #[arg(long, value_name = "DIR")]
    pub benchmark: PathBuf,
    /// Run folder; an unfinished run there is resumed
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    #[command(flatten)]
    pub frames: Frames,
    /// Ask everything so many times; useful with a temperature
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub epochs: u32,
    /// System prompt for every question
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    #[command(flatten)]
    pub decoding: Decoding,
    /// Write the HTML report here instead of into the run folder
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Chat {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub shown: Shown,
    /// System prompt
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    #[command(flatten)]
    pub decoding: Decoding,
    /// The question
    pub question: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Inspect {
    /// Sampled frames: times, sizes, hashes
    Frames(InspectArguments),
    /// The rendered prompt, ids, vision tokens before and after compression, alarm positions
    Tokens(InspectArguments),
    /// Next-token logits at the last position
    Logits(InspectArguments),
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    #[command(flatten)]
    pub model: Model,
    #[command(flatten)]
    pub shown: Shown,
    /// The question
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub query: String,
    /// System prompt
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Machine-readable output, a stable format
    #[arg(long)]
    pub json: bool,
    /// Also generate so many tokens, greedily (`logits` only)
    #[arg(long, value_name = "N")]
    pub generate: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Write the HTML report here instead of into the run folder
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Name every bad line of a benchmark folder
    Check {
        /// Benchmark folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Everything the demo makes goes here; what is there already is kept
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub out: PathBuf,
    /// Of the world, the weights and the order of training
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
