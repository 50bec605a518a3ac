//! Examples on demand, for data of any size: how long each is, told without decoding ([`Length`]);
//! the media of those that come next, made ready in background threads within a bound on memory; and,
//! where the vision encoder is frozen, its results computed once and kept on disk.
//!
//! What an example is never depends on threads, on the order of asking or on what the disk holds; nor
//! do lengths.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use model::Processor;
use rayon::prelude::*;
use video::{Decoder, Sampling};

use crate::Error;
use crate::data::Medium;
use crate::forward::Example;
use crate::loss::next_token::target_count;

mod conversation;
mod facts;
mod geometry;
mod make;
mod shelf;
mod store;

pub use conversation::Conversation;
pub use make::{Disk, Encode, Frozen};
pub use shelf::Room;

use geometry::Outline;
use make::{Made, Maker};
use shelf::{Found, Shelf};

/// How a feed works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Before the network.
    pub processor: Arc<Processor>,
    /// Reads the files.
    pub decoder: Decoder,
    /// Which frames of a video are shown; [`Processor::sampling`] is the checkpoint's.
    pub sampling: Sampling,
    /// The vision encoder and projector, if they are not trained.
    pub frozen: Option<Frozen>,
    /// Where headers and features are kept from run to run, if anywhere.
    pub disk: Option<Disk>,
    /// Threads that make ready what comes next; with 0 all is made when it is asked for.
    pub threads: usize,
    /// What prepared media may take, those that the caller still holds included. Only what is asked
    /// for at once may pass it.
    pub room: Room,
}

/// What an example costs, told from the text and the header of its video: a bound that never
/// depends on what has been decoded before, and exact where no vision token is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length {
    /// Tokens that the decoder reads, at most.
    pub tokens: usize,
    /// Tokens that are learnt, exactly.
    pub targets: usize,
    /// Patches that the vision encoder reads.
    pub patches: usize,
}

/// What a feed has done and held so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files decoded.
    pub decoded: u64,
    /// Videos and images encoded.
    pub encoded: u64,
    /// Features read from disk instead.
    pub recalled: u64,
    /// The most media in memory at once.
    pub most_media: usize,
    /// The most bytes of media in memory at once.
    pub most_bytes: u64,
}

/// A conversation that cannot be made into an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable<'a> {
    /// Its index.
    pub index: usize,
    /// Its id.
    pub id: &'a str,
    /// Why not, with the file's name where it is the file's fault.
    pub reason: &'a str,
}

/// Conversations as examples, by index.
#[derive(Debug)]
pub struct Feed {
    inner: Arc<Inner>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    conversations: Vec<Conversation>,
    media: Vec<Medium>,
    /// Index into `media` for each conversation.
    medium_of: Vec<Option<usize>>,
    lengths: Vec<Result<Length, String>>,
    maker: Maker,
    shelf: Mutex<Shelf>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl Feed {
    /// A feed of `conversations`. Asks the header of every file and tokenizes every text, so that
    /// most of what cannot be used is known now ([`Feed::unusable`]); `progress` is told how many
    /// files of how many were asked, from several threads.
    ///
    /// # Errors
    /// If the disk's folder cannot be used, or threads cannot be started.
    pub fn open(
        conversations: Vec<Conversation>,
        settings: Settings,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, Error> {
        let mut decoder = settings.decoder;
        let threads = settings.threads;
        decoder.limits.threads = (decoder.limits.threads / threads.max(1)).max(1);
        let maker = Maker::new(
            settings.processor,
            (decoder, settings.sampling),
            settings.frozen,
            settings.disk.as_ref(),
        )?;
        let (media, medium_of) = distinct(&conversations);
        let asked = AtomicUsize::new(0);
        let outlines: Vec<Result<Outline, String>> = media
            .par_iter()
            .map(|medium| {
                let outline = maker.outline(medium);
                progress(asked.fetch_add(1, Ordering::Relaxed) + 1, media.len());
                outline
            })
            .collect();
        let lengths = conversations
            .par_iter()
            .zip(&medium_of)
            .map(|(conversation, medium)| {
                let outline = medium.map(|medium| outlines[medium].as_ref());
                let outline = outline.transpose().map_err(Clone::clone)?;
                length(conversation, outline, &maker.processor).map_err(|error| error.to_string())
            })
            .collect();
        let bytes = |outline: &Result<Outline, _>| match outline {
            Ok(outline) => outline.bytes(&maker.processor),
            Err(_) => 0,
        };
        let shelf = Shelf::new(outlines.iter().map(bytes).collect(), settings.room);
        let inner = Arc::new(Inner {
            conversations,
            media,
            medium_of,
            lengths,
            maker,
            shelf: Mutex::new(shelf),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
        });
        let mut feed = Self {
            inner,
            threads: Vec::with_capacity(threads),
        };
        for _ in 0..threads {
            let inner = Arc::clone(&feed.inner);
            let started = thread::Builder::new()
                .name("feed".to_owned())
                .spawn(move || inner.work())
                .map_err(|error| Error::Threads(error.to_string()))?;
            feed.threads.push(started);
        }
        Ok(feed)
    }

    /// Conversations.
    pub fn len(&self) -> usize {
        self.inner.conversations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inner.conversations.is_empty()
    }

    /// What example `index` costs; none if it cannot be used.
    pub fn length(&self, index: usize) -> Option<Length> {
        self.inner.lengths[index].as_ref().ok().copied()
    }

    /// What is already known to be unusable, in order.
    pub fn unusable(&self) -> impl Iterator<Item = Unusable<'_>> {
        let conversations = &self.inner.conversations;
        (self.inner.lengths.iter().enumerate()).filter_map(|(index, length)| {
            let reason = length.as_ref().err()?;
            let id = &conversations[index].id;
            Some(Unusable { index, id, reason })
        })
    }

    /// Says which examples will be asked for next, in this order; what was said before is forgotten.
    pub fn ahead(&self, upcoming: &[usize]) {
        let inner = &self.inner;
        let usable = upcoming.iter().filter(|&&i| inner.lengths[i].is_ok());
        let media = usable.filter_map(|&i| Some((i, inner.medium_of[i]?)));
        inner.locked().plan(media);
        inner.changed.notify_all();
    }

    /// Example `index`, made now unless it already was.
    ///
    /// # Errors
    /// [`Error::Unusable`] names the record, and the file if it cannot be read.
    pub fn example(&self, index: usize) -> Result<Arc<Example>, Error> {
        let inner = &self.inner;
        let conversation = &inner.conversations[index];
        let unusable = |reason: String| Error::Unusable {
            id: conversation.id.clone(),
            reason,
        };
        let length = inner.lengths[index].clone().map_err(unusable)?;
        let made = match inner.medium_of[index] {
            Some(medium) => Some(inner.obtain(index, medium).map_err(unusable)?),
            None => None,
        };
        let (kept, media): (Vec<_>, Vec<_>) =
            made.map(|made| (made.kept, made.shown)).into_iter().unzip();
        let sequence = inner
            .maker
            .processor
            .sequence(&conversation.messages, &kept, conversation.purpose)
            .map_err(|error| unusable(error.to_string()))?;
        if sequence.input_ids.len() > length.tokens {
            let (tokens, foreseen) = (sequence.input_ids.len(), length.tokens);
            tracing::warn!(
                id = conversation.id,
                tokens,
                foreseen,
                "a video is longer than its header says"
            );
        }
        Ok(Arc::new(Example {
            id: conversation.id.clone(),
            sequence,
            media,
        }))
    }

    /// What has been done so far.
    pub fn counts(&self) -> Counts {
        let taken = &self.inner.maker.taken;
        let (most_media, most_bytes) = self.inner.locked().most;
        Counts {
            decoded: taken.decoded.load(Ordering::Relaxed),
            encoded: taken.encoded.load(Ordering::Relaxed),
            recalled: taken.recalled.load(Ordering::Relaxed),
            most_media,
            most_bytes,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        {
            let _locked = self.inner.locked();
            self.inner.stopped.store(true, Ordering::Relaxed);
        }
        self.inner.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic there has been given to whoever waited for the medium.
            drop(thread.join());
        }
    }
}

impl Inner {
    fn locked(&self) -> MutexGuard<'_, Shelf> {
        // What the lock guards is whole between any two statements.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, shelf: MutexGuard<'a, Shelf>) -> MutexGuard<'a, Shelf> {
        let woken = self.changed.wait(shelf);
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    /// A background thread: makes what is needed next while there is room.
    fn work(&self) {
        let mut shelf = self.locked();
        while !self.stopped.load(Ordering::Relaxed) {
            match shelf.next() {
                Some(medium) => {
                    drop(shelf);
                    self.make(medium);
                    shelf = self.locked();
                }
                None => shelf = self.wait(shelf),
            }
        }
    }

    /// The medium of a conversation: taken, waited for, or made here if nobody has begun it.
    fn obtain(&self, conversation: usize, medium: usize) -> Result<Made, String> {
        let mut shelf = self.locked();
        let found = loop {
            match shelf.find(medium) {
                Found::Made(made) => break Ok(made),
                Found::Failed(reason) => break Err(reason),
                Found::Making => shelf = self.wait(shelf),
                Found::Nothing => {
                    shelf.demand(medium);
                    drop(shelf);
                    self.make(medium);
                    shelf = self.locked();
                }
            }
        };
        shelf.give(conversation, medium);
        drop(shelf);
        self.changed.notify_all();
        found
    }

    fn make(&self, medium: usize) {
        let mut making = Making {
            inner: self,
            medium,
            made: Err("preparing it ended abnormally".to_owned()),
        };
        making.made = self.maker.make(&self.media[medium]);
    }
}

/// Puts on the shelf what became of a medium, also if making it panicked: somebody may wait for it.
struct Making<'a> {
    inner: &'a Inner,
    medium: usize,
    made: Result<Made, String>,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let made = std::mem::replace(&mut self.made, Err(String::new()));
        self.inner.locked().put(self.medium, made);
        self.inner.changed.notify_all();
    }
}

/// Each medium once, in the order of its first conversation, and which is whose.
fn distinct(conversations: &[Conversation]) -> (Vec<Medium>, Vec<Option<usize>>) {
    let mut media = Vec::new();
    let mut known: HashMap<&Medium, usize> = HashMap::new();
    let places = conversations
        .iter()
        .map(|conversation| {
            let medium = conversation.medium.as_ref()?;
            Some(*known.entry(medium).or_insert_with(|| {
                media.push(medium.clone());
                media.len() - 1
            }))
        })
        .collect();
    (media, places)
}

/// Vision tokens are special tokens, so that leaving out all but one a frame changes no other token.
fn length(
    conversation: &Conversation,
    outline: Option<&Outline>,
    processor: &Processor,
) -> model::Result<Length> {
    let kept: Vec<_> = outline.map(Outline::one_a_frame).into_iter().collect();
    let sequence = processor.sequence(&conversation.messages, &kept, conversation.purpose)?;
    Ok(Length {
        tokens: sequence.input_ids.len() + outline.map_or(0, Outline::folded),
        targets: sequence.labels.as_deref().map_or(0, target_count),
        patches: outline.map_or(0, |outline| outline.geometry.patches()),
    })
}
