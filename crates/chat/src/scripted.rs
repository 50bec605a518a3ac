//! A model with a script, for tests and dry runs: it answers what a closure says, without weights and
//! without a clock, and counts how it was asked.
//!
//! ```
//! use chat::scripted::{Scripted, cut_off, fails, says};
//!
//! // Declines in text, helps with a video, and is out of memory for one sample.
//! let model = Scripted::new(|request| match (request.id.as_str(), request.media.is_empty()) {
//!     ("large", _) => fails(request, "out of memory"),
//!     (_, true) => Ok(says("I cannot help with that.")),
//!     (_, false) => Ok(cut_off("First, take the blue ring and")),
//! });
//! assert_eq!(model.calls(), 0);
//! ```

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures::future::{BoxFuture, poll_fn};
use video::Sampling;

use crate::{ChatError, ChatModel, ChatRequest, Finish, Progress, Reply};

type Script = dyn Fn(&ChatRequest) -> Result<Reply, ChatError> + Send + Sync;

/// A model that answers from a script.
pub struct Scripted {
    script: Box<Script>,
    name: String,
    concurrency: usize,
    turns: usize,
    calls: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Scripted {
    /// Answers every request with what `script` returns.
    pub fn new(
        script: impl Fn(&ChatRequest) -> Result<Reply, ChatError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            script: Box::new(script),
            name: "scripted".to_owned(),
            concurrency: 1,
            turns: 0,
            calls: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }

    /// The same under another name.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same, working on several requests at once.
    #[must_use]
    pub fn with_concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests;
        self
    }

    /// The same, slow: each answer lets everything else go first so many times. No clock is involved.
    #[must_use]
    pub fn with_turns(mut self, turns: usize) -> Self {
        self.turns = turns;
        self
    }

    /// Requests that came so far, answered or not.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at the same time.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}

/// A finished reply that says `text`; one token a word.
pub fn says(text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        finish: Finish::Stop,
        prompt_tokens: 0,
        completion_tokens: text.split_whitespace().count(),
        alarm: None,
    }
}

/// A finished reply without a word.
pub fn says_nothing() -> Reply {
    says("")
}

/// A reply that the token limit cut off after `text`.
pub fn cut_off(text: &str) -> Reply {
    Reply {
        finish: Finish::Length,
        ..says(text)
    }
}

/// A reply that the provider's filter stopped.
pub fn blocked() -> Reply {
    Reply {
        finish: Finish::ContentFilter,
        ..says("")
    }
}

/// A model that fails on `request`.
///
/// # Errors
/// Always: [`ChatError::Model`].
pub fn fails(request: &ChatRequest, reason: &str) -> Result<Reply, ChatError> {
    Err(ChatError::Model {
        id: request.id.clone(),
        reason: reason.to_owned(),
    })
}

/// A request under way; no longer when it is dropped, answered or not.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ChatModel for Scripted {
    fn name(&self) -> &str {
        &self.name
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
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let under_way = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            let _under_way = UnderWay(&self.at_once);
            self.most_at_once.fetch_max(under_way, Ordering::SeqCst);
            for _ in 0..self.turns {
                let_others_go_first().await;
            }
            let reply = (self.script)(&request)?;
            progress(&reply.text);
            Ok(reply)
        })
    }
}

/// Comes back when everything else that is ready was polled.
async fn let_others_go_first() {
    let mut was_polled = false;
    let once = poll_fn(|context| {
        if std::mem::replace(&mut was_polled, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    });
    pin!(once).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;
    use crate::Generation;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    fn request(id: &str) -> ChatRequest {
        ChatRequest {
            id: id.to_owned(),
            system: None,
            media: Vec::new(),
            text: "What is this?".to_owned(),
            generation: Generation::default(),
        }
    }

    #[test]
    fn the_script_decides_by_the_request() {
        let model = Scripted::new(|request| match request.id.as_str() {
            "bad" => fails(request, "no memory"),
            id => Ok(says(id)),
        });
        let said = block_on(model.reply(request("good"), &|_| ())).unwrap();
        assert_eq!((said.text.as_str(), said.finish), ("good", Finish::Stop));
        let error = block_on(model.reply(request("bad"), &|_| ())).unwrap_err();
        assert_eq!(error.to_string(), "request bad failed: no memory");
        assert_eq!(model.calls(), 2);
    }

    #[test]
    fn what_is_said_is_shown_while_it_is_said() {
        let seen = Mutex::new(String::new());
        let model = Scripted::new(|_| Ok(says("a blue ring")));
        let show = |text: &str| seen.lock().unwrap().push_str(text);
        block_on(model.reply(request("a"), &show)).unwrap();
        assert_eq!(seen.into_inner().unwrap(), "a blue ring");
    }

    #[test]
    fn replies_end_in_every_way() {
        let ends = [says("a"), says_nothing(), cut_off("a"), blocked()].map(|reply| reply.finish);
        let expected = [
            Finish::Stop,
            Finish::Stop,
            Finish::Length,
            Finish::ContentFilter,
        ];
        assert_eq!(ends, expected);
    }

    #[test]
    fn requests_side_by_side_are_counted() {
        let model = Scripted::new(|_| Ok(says("yes"))).with_turns(2);
        block_on(join_all(
            ["a", "b", "c"].map(|id| model.reply(request(id), &|_| ())),
        ));
        assert_eq!((model.calls(), model.most_at_once()), (3, 3));
        block_on(model.reply(request("d"), &|_| ())).unwrap();
        assert_eq!(model.most_at_once(), 3);
    }

    #[test]
    fn a_request_that_is_dropped_is_no_longer_under_way() {
        let model = Scripted::new(|_| Ok(says("yes"))).with_turns(1);
        assert!(model.reply(request("a"), &|_| ()).now_or_never().is_none());
        block_on(model.reply(request("b"), &|_| ())).unwrap();
        assert_eq!((model.calls(), model.most_at_once()), (2, 1));
    }
}
