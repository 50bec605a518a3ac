//! The one trait every model answers to: local weights, an endpoint, a script.

use futures::future::BoxFuture;
use video::Sampling;

use crate::{ChatError, ChatRequest, Reply};

/// Called with each new piece of text while an answer is written; the pieces together are the reply's
/// text.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A video language model. Each request is answered by itself, whatever else is under way: the same
/// request with the same seed gives the same reply. Dropping the future gives the request up.
pub trait ChatModel: Send + Sync {
    /// What the model is called in records and reports.
    fn name(&self) -> &str;

    /// How this model wants its videos sampled, unless the user says otherwise.
    fn sampling(&self) -> Sampling;

    /// How many requests it can usefully work on at once, at least 1; whoever asks keeps to it.
    fn concurrency(&self) -> usize {
        1
    }

    /// Answers, calling `progress` with each piece of text as it comes.
    ///
    /// # Errors
    /// [`ChatError::Input`] if this request can never be answered, [`ChatError::Model`] if the model failed.
    fn reply<'a>(
        &'a self,
        request: ChatRequest,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<Reply, ChatError>>;
}
