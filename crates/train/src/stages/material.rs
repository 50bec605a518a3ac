//! A stage's examples with what the loop needs to know of them.

use std::path::Path;
use std::sync::Arc;

use model::Processor;
use video::{Decoder, Sampling};

use super::examples::Examples;
use super::records::Records;
use super::start::Start;
use crate::data::Record;
use crate::feed::{Conversation, Disk, Feed, Frozen, Room, Settings};
use crate::forward::Example;
use crate::order::Size;
use crate::recipe::{Frames, Kind, Stage};
use crate::step::Item;
use crate::{BoxError, Error};

/// Vision features of a run take at most so much of the disk.
const DISK_BYTES: u64 = 64 << 30;
/// Media that wait in memory take at most so much.
const ROOM: Room = Room {
    media: 4096,
    bytes: 2 << 30,
};
/// Threads that decode and encode ahead of the training.
const THREADS: usize = 2;

/// What a stage learns from.
pub struct Material {
    records: Vec<Record>,
    feed: Feed,
    items: Vec<Item>,
}

/// What a stage's examples are made with.
pub struct Tools<'a> {
    /// Before the network.
    pub processor: Arc<Processor>,
    /// Of vision features and probes.
    pub cache: &'a Path,
    /// The model, whose vision features are kept if it does not change them; nothing to know lengths
    /// alone.
    pub start: Option<&'a Start>,
}

impl Material {
    /// Looks at the header of every video; `ready` is told how many of how many.
    pub fn open(
        stage: &Stage,
        records: Records,
        tools: &Tools<'_>,
        ready: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, Error> {
        let records = records.records;
        let of = |make: fn(&Record) -> Conversation| records.iter().map(make);
        let conversations: Vec<Conversation> = match stage.kind {
            Kind::Grpo => of(Conversation::ask).collect(),
            Kind::Dpo => of(Conversation::learn).chain(of(rejected)).collect(),
            Kind::Sft | Kind::AtSft | Kind::Atc | Kind::Cot => of(Conversation::learn).collect(),
        };
        let settings = Settings {
            sampling: sampling(tools.processor.sampling(), stage.frames)?,
            processor: Arc::clone(&tools.processor),
            decoder: Decoder::default(),
            frozen: tools.start.map(frozen).transpose()?.flatten(),
            disk: Some(Disk {
                folder: tools.cache.to_owned(),
                most_bytes: DISK_BYTES,
            }),
            threads: tools.start.map_or(0, |_| THREADS),
            room: ROOM,
        };
        let feed = Feed::open(conversations, settings, ready)?;
        if let Some(unusable) = feed.unusable().next() {
            return Err(Error::Unusable {
                id: unusable.id.to_owned(),
                reason: unusable.reason.to_owned(),
            });
        }
        let mut items = Vec::with_capacity(records.len());
        for (i, record) in records.iter().enumerate() {
            let length = feed.length(i).expect("the unusable were refused");
            let other = (stage.kind == Kind::Dpo).then(|| records.len() + i);
            let other = other.and_then(|other| feed.length(other));
            if length.targets == 0 && stage.kind != Kind::Grpo {
                return Err(Error::NoTarget {
                    id: record.id.clone(),
                });
            }
            items.push(Item {
                id: record.id.clone(),
                size: Size {
                    // The rejected answer stands behind the same prompt.
                    tokens: length.tokens + other.map_or(0, |other| other.targets),
                    patches: length.patches,
                },
                targets: length.targets + other.map_or(0, |other| other.targets),
                labels: record.labels,
            });
        }
        Ok(Self {
            records,
            feed,
            items,
        })
    }

    /// In the order of the items.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What the loop knows of the records.
    pub fn items(&self) -> Vec<Item> {
        self.items.clone()
    }
}

impl Examples for Material {
    fn ahead(&self, order: &[usize]) {
        self.feed.ahead(order);
    }

    fn example(&self, index: usize) -> Result<Arc<Example>, BoxError> {
        Ok(self.feed.example(index)?)
    }
}

fn rejected(record: &Record) -> Conversation {
    Conversation::answered(record, record.rejected.as_deref().unwrap_or_default())
}

/// The vision encoder and projector of a model in which nothing of them learns.
fn frozen(start: &Start) -> Result<Option<Frozen>, Error> {
    let sees = |name: &str| {
        name.starts_with("model.vision_model.") || name.starts_with("model.projector.")
    };
    if start.parameters.keys().any(|name| sees(name)) {
        return Ok(None);
    }
    Frozen::of(&start.untracked()?, &start.weights).map(Some)
}

/// The checkpoint's sampling, but for what the stage says of it.
fn sampling(own: Sampling, frames: Frames) -> Result<Sampling, Error> {
    match own {
        own if frames == Frames::default() => Ok(own),
        Sampling::Fps { fps, max_frames } => Ok(Sampling::Fps {
            fps: frames.fps.unwrap_or(fps),
            max_frames: frames.max_frames.unwrap_or(max_frames),
        }),
        other => Err(crate::recipe::refused(
            "frames",
            &format!("given for a checkpoint that samples by {other:?}"),
            "leave it out",
        )),
    }
}
