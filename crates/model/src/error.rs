//! What can go wrong between a checkpoint folder and an answer.

use std::path::PathBuf;

/// Why a model could not be loaded, fed or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the checkpoint could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file of the checkpoint is not what it should be.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and the remedy.
        reason: String,
    },
    /// A weight is nowhere in the checkpoint.
    #[error(
        "tensor {name} of shape {expected:?} is missing from {}; its names there would be {looked_for:?}",
        folder.display()
    )]
    MissingTensor {
        /// The port's name of the tensor.
        name: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// Where it was looked for.
        folder: PathBuf,
        /// Under which names.
        looked_for: Vec<String>,
    },
    /// A weight has another shape than the configuration says.
    #[error(
        "tensor {name} in {} has shape {found:?}, config.json asks for {expected:?}",
        file.display()
    )]
    WrongShape {
        /// Its name in that file.
        name: String,
        /// The file it is in.
        file: PathBuf,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// The input does not fit the model.
    #[error("{0}")]
    Input(String),
    /// A tensor operation failed: a bug of ours, or no memory.
    #[error("tensor operation failed")]
    Tensor(#[from] candle_core::Error),
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;
