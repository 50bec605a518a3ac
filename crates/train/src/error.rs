//! What can go wrong, in one type.

use std::path::PathBuf;

/// A failure of code that this crate calls without knowing it: a stage's model, data or saver.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The one error type of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recipe is not TOML, or has an unknown key or a value of the wrong type.
    #[error("recipe cannot be read")]
    RecipeSyntax(#[source] toml::de::Error),
    /// What is wrong with a file of the user's.
    #[error("{path} cannot be used", path = path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<Self>,
    },
    /// A key of the recipe has a value that makes no sense.
    #[error("{line}recipe key `{key}` is {value}: {remedy}", line = line.map_or_else(String::new, |line| format!("line {line}: ")))]
    Recipe {
        /// Counted from 1, where it is known.
        line: Option<usize>,
        /// Path of the key, with dots.
        key: String,
        /// What it says now.
        value: String,
        /// What it should say.
        remedy: &'static str,
    },
    /// A pattern of the recipe names no parameter, most likely a typing error.
    #[error(
        "recipe key `{key}` has the pattern `{pattern}`, which matches none of the {count} parameters (the first is `{first}`)"
    )]
    UnmatchedPattern {
        /// Path of the key, with dots.
        key: String,
        /// The pattern.
        pattern: String,
        /// How many parameters there are.
        count: usize,
        /// One of them, as an example of how they are called.
        first: String,
    },
    /// Lines of a data file that cannot be used.
    #[error("{path} has {count} bad lines: {first}", path = path.display())]
    BadLines {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first few with their numbers and reasons.
        first: String,
    },
    /// More records are asked for than a file has.
    #[error("{path} has {found} records, {wanted} were to be drawn: write a smaller `take`", path = path.display())]
    TooFew {
        /// The file.
        path: PathBuf,
        /// As the recipe says.
        wanted: usize,
        /// As there are.
        found: usize,
    },
    /// A stage was asked for that the recipe does not have.
    #[error("the recipe has no stage `{name}`, its stages are {names}")]
    NoStage {
        /// As it was asked for.
        name: String,
        /// What there is.
        names: String,
    },
    /// A reward endpoint cannot be called.
    #[error("reward endpoint `{name}` cannot be used")]
    Endpoint {
        /// As the recipe calls it.
        name: String,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// A sample cannot be made into what the model reads.
    #[error("sample {id} cannot be used")]
    Sample {
        /// Which.
        id: String,
        /// Why: most often a video that cannot be read.
        #[source]
        source: BoxError,
    },
    /// A record that nothing can be made of.
    #[error("record {id} cannot be used: {reason}")]
    Unusable {
        /// Which.
        id: String,
        /// Why: the words of the video that cannot be read, or of the prompt that cannot be written.
        reason: String,
    },
    /// There is nothing to learn from.
    #[error("no sample to train on: {remedy}")]
    NoSamples {
        /// What to change.
        remedy: &'static str,
    },
    /// A sample without any token to predict.
    #[error("sample {id} has no target token: give it an answer, or leave it out")]
    NoTarget {
        /// Which.
        id: String,
    },
    /// The loss is NaN or infinite; the weights are those before this step.
    #[error(
        "loss is {loss} at step {step}, samples {samples}: lower the learning rate or look at these samples",
        samples = samples.join(", ")
    )]
    NonFiniteLoss {
        /// Counted from 1.
        step: usize,
        /// The value.
        loss: f32,
        /// Ids of the micro-batch that gave it.
        samples: Vec<String>,
    },
    /// The gradient is NaN or infinite; the weights are those before this step.
    #[error(
        "gradient of `{parameter}` is not finite at step {step}, samples {samples}: lower the learning rate or look at these samples",
        samples = samples.join(", ")
    )]
    NonFiniteGradient {
        /// Counted from 1.
        step: usize,
        /// The first such parameter by name.
        parameter: String,
        /// Ids of all samples of the step.
        samples: Vec<String>,
    },
    /// The model cannot be opened or built.
    #[error("model cannot be trained")]
    Model(#[source] Box<model::Error>),
    /// The stage failed to compute a loss.
    #[error("no loss at step {step}, samples {samples}", samples = samples.join(", "))]
    Objective {
        /// Counted from 1.
        step: usize,
        /// Ids of the micro-batch.
        samples: Vec<String>,
        /// What the stage says.
        #[source]
        source: BoxError,
    },
    /// The stage failed to write its weights.
    #[error("weights cannot be saved to {path}", path = path.display())]
    Save {
        /// The folder.
        path: PathBuf,
        /// What the stage says.
        #[source]
        source: BoxError,
    },
    /// The stage failed to read its weights back.
    #[error("weights cannot be restored from {path}", path = path.display())]
    Restore {
        /// The checkpoint.
        path: PathBuf,
        /// What the stage says.
        #[source]
        source: BoxError,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {doing} {path}", path = path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file of a run does not say what it should.
    #[error("{path}: {problem}", path = path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The folder holds a run that was asked to do something else.
    #[error(
        "{path} belongs to another run: {differences}; use another folder, or the same settings",
        path = path.display(),
        differences = differences.join(", ")
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// Each as `key: then → now`.
        differences: Vec<String>,
    },
    /// Another process trains in this folder.
    #[error("{path} is in use by another training process: wait for it, or use another folder", path = path.display())]
    Busy {
        /// The run's folder.
        path: PathBuf,
    },
    /// The system gives no more threads.
    #[error("threads cannot be started: {0}")]
    Threads(String),
    /// A reward could not be computed, which is not a reward of 0.
    #[error("reward `{reward}` of sample {sample} cannot be computed")]
    Reward {
        /// Its name.
        reward: String,
        /// Id of the sample.
        sample: String,
        /// What is missing.
        #[source]
        source: BoxError,
    },
    /// Rollouts that cannot be compared with each other.
    #[error(
        "a group of {rollouts} rollouts has nothing to compare: sample two or more for each prompt"
    )]
    SmallGroup {
        /// How many there are.
        rollouts: usize,
    },
    /// A tensor operation failed.
    #[error("tensor operation failed while {doing}")]
    Tensor {
        /// What was going on.
        doing: String,
        /// What the tensor library says.
        #[source]
        source: candle_core::Error,
    },
}

impl Error {
    /// Whether it is for the user to mend: a recipe, a data file, a folder.
    pub fn is_users(&self) -> bool {
        matches!(
            self,
            Self::RecipeSyntax(_)
                | Self::InFile { .. }
                | Self::Recipe { .. }
                | Self::UnmatchedPattern { .. }
                | Self::BadLines { .. }
                | Self::TooFew { .. }
                | Self::NoStage { .. }
                | Self::Sample { .. }
                | Self::Unusable { .. }
                | Self::NoSamples { .. }
                | Self::NoTarget { .. }
                | Self::OtherRun { .. }
                | Self::Busy { .. }
                | Self::BadFile { .. }
        )
    }
}

impl From<model::Error> for Error {
    fn from(error: model::Error) -> Self {
        Self::Model(Box::new(error))
    }
}

/// Says what was going on when a tensor operation failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T> Doing<T> for candle_core::Result<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Tensor {
            doing: what.into(),
            source,
        })
    }
}

/// Says which file it was.
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: &std::path::Path) -> Result<T, Error>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, doing: &'static str, path: &std::path::Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            doing,
            path: path.to_owned(),
            source,
        })
    }
}
