//! What can be typed about training.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use train::recipe::Kind;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Train {
    #[command(subcommand)]
    pub command: Option<TrainCommand>,
    #[command(flatten)]
    pub run: TrainRun,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrainCommand {
    /// Say what a recipe would do: parameters, samples, tokens, steps, memory, time; spends nothing
    Plan(TrainPlan),
}

/// A recipe, or one stage without a recipe.
#[derive(Debug, Args)]
pub(crate) struct TrainRun {
    /// A chain of stages: a TOML file, or one stage by --stage, --model and --data
    #[arg(value_name = "RECIPE", required_unless_present = "stage")]
    pub recipe: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
    /// Of a recipe: this stage alone, with those that it starts from. Without a recipe: its kind
    /// (sft, at-sft, atc, cot, grpo, dpo), with the paper's numbers
    #[arg(long, value_name = "NAME")]
    pub stage: Option<String>,
    /// Checkpoint folder that a stage without a recipe starts from
    #[arg(long, value_name = "DIR", conflicts_with = "recipe")]
    pub model: Option<PathBuf>,
    /// Records that a stage without a recipe learns from
    #[arg(long, value_name = "FILE", conflicts_with = "recipe")]
    pub data: Option<PathBuf>,
    /// Everything that is made goes here; what is there already is kept, an unfinished run is resumed
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Micro-batches at a time; 0 is one a core. Changes the time and the memory, no result
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub workers: usize,
}

#[derive(Debug, Args)]
pub(crate) struct TrainPlan {
    /// A chain of stages: a TOML file
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    #[command(flatten)]
    pub place: Place,
    /// Machine-readable output, a stable format
    #[arg(long)]
    pub json: bool,
}

/// What paths in a recipe are relative to.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Paths in the recipe are relative to this folder instead of the recipe's own
    #[arg(long, value_name = "DIR")]
    pub at: Option<PathBuf>,
}

/// The kinds of stages, as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StageKind {
    Sft,
    AtSft,
    Atc,
    Cot,
    Grpo,
    Dpo,
}

impl StageKind {
    /// As a recipe has it.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Sft => Kind::Sft,
            Self::AtSft => Kind::AtSft,
            Self::Atc => Kind::Atc,
            Self::Cot => Kind::Cot,
            Self::Grpo => Kind::Grpo,
            Self::Dpo => Kind::Dpo,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Ablate {
    /// Rows and seeds: a TOML file
    #[arg(value_name = "FILE")]
    pub plan: PathBuf,
    /// Everything that is made goes here; what is there already is kept
    #[arg(long, default_value = "ablation", value_name = "DIR")]
    pub out: PathBuf,
    /// Seeds at a time; 0 is one a core
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub jobs: usize,
}
