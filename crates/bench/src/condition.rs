//! How the media of a sample is shown. Every condition of a run is asked of every sample that it fits,
//! so that conditions are compared pair by pair.

use std::sync::Arc;

use chat::Media;
use safety::Sample;
use serde::{Deserialize, Serialize};
use video::Clip;

/// One way of showing a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The query with its video.
    WithVideo,
    /// The same query alone.
    WithoutVideo,
}

impl Condition {
    /// All of them, in the order of every table.
    pub const ALL: [Self; 2] = [Self::WithVideo, Self::WithoutVideo];

    /// The name on the wire and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::WithVideo => "with_video",
            Self::WithoutVideo => "without_video",
        }
    }

    /// Whether a sample can be shown so: a text-only sample has no video to show.
    pub fn fits(self, sample: &Sample) -> bool {
        match self {
            Self::WithVideo => sample.video.is_some(),
            Self::WithoutVideo => true,
        }
    }

    /// Whether the sample's video must be decoded for it.
    pub fn needs_video(self) -> bool {
        matches!(self, Self::WithVideo)
    }

    /// What is shown of the sample's frames.
    pub fn media(self, clip: Option<&Arc<Clip>>) -> Vec<Media> {
        match self {
            Self::WithVideo => clip
                .map(|clip| Media::Video(Arc::clone(clip)))
                .into_iter()
                .collect(),
            Self::WithoutVideo => Vec::new(),
        }
    }
}
