//! A file becomes what the network takes: decoded, cut into patches and, for a frozen encoder, encoded.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use candle_core::{DType, Device, Tensor};
use model::processor::{Media, Processor};
use model::sequence::Kept;
use model::template;
use model::{VideoLlama3, VisionInput, Weights};
use sha2::{Digest, Sha256};
use video::{Clip, Decoder, FrameSize, Sampling, hash};

use super::facts::Known;
use super::geometry::{self, Outline};
use super::store::{Features, Store, VERSION};
use crate::Error;
use crate::data::Medium;
use crate::error::At;
use crate::forward::Shown;

/// Vision tokens `[kept, E]` of one image or video.
pub type Encode = dyn Fn(&VisionInput) -> model::Result<Tensor> + Send + Sync;

/// A vision encoder and projector that stay as they are: what they give is computed once.
#[derive(Clone)]
pub struct Frozen {
    /// Of their weights: other weights, other text.
    pub fingerprint: String,
    /// Where their results are wanted.
    pub device: Device,
    /// Runs them; called from several threads.
    pub encode: Arc<Encode>,
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Frozen {
    /// Those of `model`, which was built from `weights`.
    ///
    /// # Errors
    /// If the weights cannot be read.
    pub fn of(model: &VideoLlama3, weights: &Weights) -> Result<Self, Error> {
        let vision = |name: &str| {
            name.starts_with("model.vision_model.") || name.starts_with("model.projector.")
        };
        let mut hash = Sha256::new();
        for (name, tensor) in weights.iter().filter(|(name, _)| vision(name)) {
            hash.update(format!("{name}\n{:?}{:?}\n", tensor.dtype(), tensor.dims()));
            hash.update(bytes(tensor).map_err(model::Error::from)?);
        }
        let (device, model) = (model.device().clone(), model.clone());
        Ok(Self {
            fingerprint: hash::bytes(&hash.finalize()),
            device,
            encode: Arc::new(move |input| model.features(input)),
        })
    }
}

/// The bytes of a tensor; numbers of 16 bits as the f32 that they equal.
fn bytes(tensor: &Tensor) -> candle_core::Result<Vec<u8>> {
    let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    Ok(values.into_iter().flat_map(f32::to_le_bytes).collect())
}

/// A folder where headers and features are kept from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Made if it is not there.
    pub folder: PathBuf,
    /// Of features; beyond it the oldest go.
    pub most_bytes: u64,
}

/// How often each step was taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) decoded: AtomicU64,
    pub(super) encoded: AtomicU64,
    pub(super) recalled: AtomicU64,
}

/// What became of a file.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) shown: Shown,
    pub(super) kept: Kept,
}

/// What the network takes, if anybody still holds it.
#[derive(Clone, Debug)]
pub(super) enum Lent {
    Patches(Weak<VisionInput>),
    Features(Weak<Tensor>),
}

impl Made {
    /// In memory.
    pub(super) fn bytes(&self) -> u64 {
        match &self.shown {
            Shown::Patches(input) => 4 * input.pixel_values.len() as u64,
            Shown::Features(tensor) => {
                (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64
            }
        }
    }

    pub(super) fn lend(&self) -> Lent {
        match &self.shown {
            Shown::Patches(input) => Lent::Patches(Arc::downgrade(input)),
            Shown::Features(tensor) => Lent::Features(Arc::downgrade(tensor)),
        }
    }
}

impl Lent {
    pub(super) fn holders(&self) -> usize {
        match self {
            Self::Patches(input) => input.strong_count(),
            Self::Features(tensor) => tensor.strong_count(),
        }
    }

    pub(super) fn back(&self) -> Option<Shown> {
        match self {
            Self::Patches(input) => input.upgrade().map(Shown::Patches),
            Self::Features(tensor) => tensor.upgrade().map(Shown::Features),
        }
    }
}

/// A file before it is encoded.
struct Patches {
    input: VisionInput,
    kept: Kept,
    /// Of the file.
    sha256: String,
}

/// Everything that turns a file into [`Made`].
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) processor: Arc<Processor>,
    pub(super) decoder: Decoder,
    pub(super) sampling: Sampling,
    pub(super) frozen: Option<Frozen>,
    pub(super) taken: Taken,
    known: Known,
    store: Option<Store>,
}

impl Maker {
    pub(super) fn new(
        processor: Arc<Processor>,
        (decoder, sampling): (Decoder, Sampling),
        frozen: Option<Frozen>,
        disk: Option<&Disk>,
    ) -> Result<Self, Error> {
        let (mut known, mut store) = (None, None);
        if let Some(Disk { folder, most_bytes }) = disk {
            std::fs::create_dir_all(folder).at("create", folder)?;
            known = Some(folder.as_path());
            store = Some(Store::open(folder, *most_bytes)?);
        }
        Ok(Self {
            processor,
            decoder,
            sampling,
            frozen,
            taken: Taken::default(),
            known: Known::open(known)?,
            store,
        })
    }

    /// What a file will be, told from its header.
    pub(super) fn outline(&self, medium: &Medium) -> Result<Outline, String> {
        let facts = self.known.facts(medium.path(), &self.decoder);
        let facts = facts.map_err(|error| words(&error))?;
        let outline = match medium {
            Medium::Image(_) => {
                geometry::image(&facts, &self.processor).map_err(|error| error.to_string())
            }
            Medium::Video(_) => geometry::video(&facts, self.sampling, &self.processor),
        };
        outline.map_err(|reason| format!("{}: {reason}", medium.path().display()))
    }

    /// Recalled, or decoded and, for a frozen encoder, encoded.
    pub(super) fn make(&self, medium: &Medium) -> Result<Made, String> {
        let Some(frozen) = &self.frozen else {
            let Patches { input, kept, .. } = self.patches(medium)?;
            return Ok(Made {
                shown: Shown::Patches(Arc::new(input)),
                kept,
            });
        };
        let features = match &self.store {
            None => self.encoded(frozen, medium)?.0,
            Some(store) => {
                let sha256 = self.known.sha256(medium.path());
                let sha256 = sha256.map_err(|error| words(&error))?;
                match store.read(&self.key(frozen, medium, &sha256), &frozen.device) {
                    Some(features) => {
                        self.taken.recalled.fetch_add(1, Ordering::Relaxed);
                        features
                    }
                    None => {
                        // Named by what was decoded, should the file have changed meanwhile.
                        let (features, sha256) = self.encoded(frozen, medium)?;
                        store.write(&self.key(frozen, medium, &sha256), &features);
                        features
                    }
                }
            }
        };
        Ok(Made {
            shown: Shown::Features(Arc::new(features.tensor)),
            kept: features.kept,
        })
    }

    /// Of everything that the features depend on.
    fn key(&self, frozen: &Frozen, medium: &Medium, sha256: &str) -> String {
        let kind = match medium {
            Medium::Video(_) => "video",
            Medium::Image(_) => "image",
        };
        let config = self.processor.config();
        let (sampling, print) = (self.sampling, &frozen.fingerprint);
        let all = format!("{VERSION}\n{kind}\n{sha256}\n{sampling:?}\n{config:?}\n{print}");
        hash::bytes(all.as_bytes())
    }

    fn encoded(&self, frozen: &Frozen, medium: &Medium) -> Result<(Features, String), String> {
        let Patches {
            input,
            kept,
            sha256,
        } = self.patches(medium)?;
        let said = |error: &dyn fmt::Display| {
            format!("{}: cannot be encoded: {error}", medium.path().display())
        };
        let tensor = (frozen.encode)(&input).map_err(|error| said(&error))?;
        let tensor = tensor.detach().contiguous().map_err(|error| said(&error))?;
        let rows = tensor.dims().first().copied().unwrap_or(0);
        if rows != input.tokens_after() {
            let wanted = input.tokens_after();
            return Err(said(&format!("{rows} vision tokens instead of {wanted}")));
        }
        self.taken.encoded.fetch_add(1, Ordering::Relaxed);
        Ok((Features { tensor, kept }, sha256))
    }

    fn patches(&self, medium: &Medium) -> Result<Patches, String> {
        let clip = self.clip(medium).map_err(|error| words(&error))?;
        self.taken.decoded.fetch_add(1, Ordering::Relaxed);
        let (media, shown) = match medium {
            Medium::Image(_) => (Media::Image(&clip.frames[0]), template::Shown::Image),
            Medium::Video(_) => {
                let times = clip.frames.iter().map(|frame| frame.seconds.0).collect();
                (Media::Video(&clip.frames), template::Shown::Video(times))
            }
        };
        let inputs = self.processor.vision(&[media]);
        let inputs = inputs.map_err(|error| format!("{}: {error}", medium.path().display()))?;
        let input = inputs
            .into_iter()
            .next()
            .expect("one medium gives one input");
        let per_frame = input.kept_per_frame();
        Ok(Patches {
            input,
            kept: Kept { shown, per_frame },
            sha256: clip.source_sha256,
        })
    }

    fn clip(&self, medium: &Medium) -> Result<Clip, video::Error> {
        match medium {
            Medium::Video(path) => self.decoder.video(path, self.sampling, FrameSize::Native),
            Medium::Image(path) => self.decoder.image(path),
        }
    }
}

/// An error with its causes.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words += &format!(": {error}");
        cause = error.source();
    }
    words
}
