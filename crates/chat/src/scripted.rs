//! A model with a script, for tests and dry runs: it answers what a closure says and counts its calls.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use video::Sampling;

use crate::{ChatError, ChatModel, ChatRequest, Finish, Progress, Reply};

type Script = dyn Fn(&ChatRequest) -> Result<Reply, ChatError> + Send + Sync;

/// A model that answers from a script.
pub struct Scripted {
    script: Box<Script>,
    calls: AtomicUsize,
    concurrency: usize,
}

impl Scripted {
    /// Answers every request with what `script` returns.
    pub fn new(
        script: impl Fn(&ChatRequest) -> Result<Reply, ChatError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            script: Box::new(script),
            calls: AtomicUsize::new(0),
            concurrency: 1,
        }
    }

    /// The same, working on several requests at once.
    #[must_use]
    pub fn with_concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// Requests answered so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// A finished reply that says `text`.
pub fn says(text: &str) -> Reply {
    let words = text.split_whitespace().count();
    Reply {
        text: text.to_owned(),
        finish: Finish::Stop,
        prompt_tokens: 0,
        completion_tokens: words,
    }
}

impl ChatModel for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn sampling(&self) -> Sampling {
        Sampling::Fps {
            fps: 1.0,
            max_frames: 8,
        }
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn reply<'a>(
        &'a self,
        request: ChatRequest,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<Reply, ChatError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let reply = (self.script)(&request);
        if let Ok(reply) = &reply {
            progress(&reply.text);
        }
        Box::pin(std::future::ready(reply))
    }
}
