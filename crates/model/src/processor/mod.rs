//! A conversation with its images and videos becomes what the model takes: patches and tokens.

use std::path::Path;

use serde_json::json;
use video::resize::{Flavour, bicubic_all};
use video::{Frame, Sampling};

use crate::config::{Config, Layout};
use crate::error::{Error, Result};
use crate::message::{Message, Part};
use crate::sequence::{
    AlarmTokens, Kept, Placeholders, Purpose, Sequence, Sequencer, SpecialTokens,
};
use crate::template::{Shown, Template};
use crate::tokenizer::{TEXTUAL_ALARM, Tokenizer, VISUAL_ALARM};

pub mod compress;
pub mod config;
mod files;
pub mod geometry;
pub mod patches;
pub mod size;
pub mod vision_input;

pub use config::{Bounds, Compression, ProcessorConfig};
pub use geometry::Geometry;
pub use vision_input::{MediaKind, VisionInput};

use patches::Cut;
use size::{Extent, Size};

/// An image or a video to be shown to the model.
#[derive(Clone, Copy, Debug)]
pub enum Media<'a> {
    /// One frame.
    Image(&'a Frame),
    /// Frames in the order of time, all of one size; at least one.
    Video(&'a [Frame]),
}

/// One conversation, ready for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The tokens.
    pub sequence: Sequence,
    /// The media in the order in which the conversation shows them, as `sequence.vision`.
    pub vision: Vec<VisionInput>,
}

/// Whether the system prompt of a template that has its own is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemPrompt {
    /// Only what the conversation says.
    OnlyGiven,
    /// The template's own where the conversation has none (`add_system_prompt` of the original).
    OfTemplate,
}

/// Everything before the network, as one checkpoint wants it.
#[derive(Debug)]
pub struct Processor {
    config: ProcessorConfig,
    sequencer: Sequencer,
}

impl Processor {
    /// Reads the processor, tokenizer and chat template of a checkpoint folder.
    ///
    /// Prompts have alarm tokens if the folder has `alarm.safetensors`.
    ///
    /// # Errors
    /// If a file is absent, cannot be read, or contradicts another; the message names it.
    pub fn open(folder: &Path) -> Result<Self> {
        let model = Config::open(folder)?;
        let config = ProcessorConfig::open(folder, model.layout)?;
        let inconsistent = |reason: String| Error::Checkpoint {
            path: folder.to_owned(),
            reason,
        };
        if config.layout() != model.layout {
            return Err(inconsistent(format!(
                "config.json is of the layout {:?}, the processor's files are of {:?}",
                model.layout,
                config.layout()
            )));
        }
        if config.patch_size != model.vision.patch_size {
            return Err(inconsistent(format!(
                "the processor's patch_size is {}, the vision encoder's {}",
                config.patch_size, model.vision.patch_size
            )));
        }
        let tokenizer = Tokenizer::open(folder)?;
        if tokenizer.vocabulary() > model.text.vocab_size {
            return Err(inconsistent(format!(
                "tokenizer.json has {} tokens, the model embeds {}",
                tokenizer.vocabulary(),
                model.text.vocab_size
            )));
        }
        let ids = [model.image_token_id, model.video_token_id];
        let placeholders = Placeholders::of(&tokenizer, model.layout, ids)?;
        let mut processor = Self {
            config,
            sequencer: Sequencer {
                template: Template::open(folder, model.layout)?,
                tokenizer,
                placeholders,
                alarm: AlarmTokens::Absent,
                special: SpecialTokens::AsTokens,
            },
        };
        if folder.join("alarm.safetensors").is_file() {
            processor.use_alarm()?;
        }
        Ok(processor)
    }

    /// Puts alarm tokens into every prompt from now on.
    ///
    /// # Errors
    /// If the tokenizer does not have them.
    pub fn use_alarm(&mut self) -> Result<()> {
        let id = |token: &str| {
            self.sequencer.tokenizer.id(token).ok_or_else(|| {
                Error::Input(format!(
                    "tokenizer.json has no {token}: add it as a special token"
                ))
            })
        };
        let (visual, textual) = (id(VISUAL_ALARM)?, id(TEXTUAL_ALARM)?);
        self.sequencer.alarm = AlarmTokens::FirstUserTurn { visual, textual };
        Ok(())
    }

    /// Leaves alarm tokens out, although the model has them.
    pub fn without_alarm(&mut self) {
        self.sequencer.alarm = AlarmTokens::Absent;
    }

    /// Sets what special tokens in a message's words are; [`SpecialTokens::AsTokens`] at first.
    pub fn read_special_tokens(&mut self, special: SpecialTokens) {
        self.sequencer.special = special;
    }

    /// Sets whether a template's own system prompt is written; [`SystemPrompt::OnlyGiven`] at first.
    pub fn system_prompt(&mut self, prompt: SystemPrompt) {
        let own = prompt == SystemPrompt::OfTemplate;
        self.sequencer.template.set("add_system_prompt", json!(own));
    }

    /// Image and video processing.
    pub fn config(&self) -> &ProcessorConfig {
        &self.config
    }

    /// Words to tokens and back.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.sequencer.tokenizer
    }

    /// Whether prompts have alarm tokens.
    pub fn alarm(&self) -> AlarmTokens {
        self.sequencer.alarm
    }

    /// Which frames of a video the checkpoint asks for.
    pub fn sampling(&self) -> Sampling {
        self.config.sampling
    }

    /// The first special token in a message's words, which lets whoever wrote them speak as the
    /// template: worth a warning unless special tokens are read as words.
    pub fn special_in<'m>(&self, messages: &'m [Message]) -> Option<&'m str> {
        messages
            .iter()
            .flat_map(|message| &message.content)
            .find_map(|part| match part {
                Part::Text(words) => self.sequencer.tokenizer.special_in(words),
                Part::Media(_) => None,
            })
    }

    /// The conversation and `media`, to which its parts point, as what the model takes.
    ///
    /// # Errors
    /// If a frame has a size that the model cannot take, or for the reasons of
    /// [`Sequencer::sequence`].
    pub fn prepare(
        &self,
        messages: &[Message],
        media: &[Media<'_>],
        purpose: Purpose,
    ) -> Result<Prepared> {
        let mut inputs: Vec<Option<VisionInput>> =
            self.vision(media)?.into_iter().map(Some).collect();
        let kept: Vec<Kept> = media
            .iter()
            .zip(inputs.iter().flatten())
            .map(|(medium, input)| Kept {
                shown: medium.shown(),
                per_frame: input.kept_per_frame(),
            })
            .collect();
        let sequence = self.sequencer.sequence(messages, &kept, purpose)?;
        let vision = messages
            .iter()
            .flat_map(|message| &message.content)
            .filter_map(|part| match part {
                Part::Media(index) => inputs.get_mut(*index)?.take(),
                Part::Text(_) => None,
            })
            .collect();
        Ok(Prepared { sequence, vision })
    }

    /// The conversation as tokens, where the patches are not at hand: `media` says what is kept of
    /// each image or video.
    ///
    /// # Errors
    /// For the reasons of [`Sequencer::sequence`].
    pub fn sequence(
        &self,
        messages: &[Message],
        media: &[Kept],
        purpose: Purpose,
    ) -> Result<Sequence> {
        self.sequencer.sequence(messages, media, purpose)
    }

    /// The media of one prompt as patches, in the order given.
    ///
    /// # Errors
    /// If a frame has a size that the model cannot take, or frames of one video differ in size.
    pub fn vision(&self, media: &[Media<'_>]) -> Result<Vec<VisionInput>> {
        let extents = media
            .iter()
            .map(|medium| self.extent(*medium))
            .collect::<Result<Vec<_>>>()?;
        let kinds: Vec<MediaKind> = media.iter().map(|medium| medium.kind()).collect();
        let sizes = self.sizes(&kinds, &extents)?;
        Ok(media
            .iter()
            .zip(sizes)
            .map(|(medium, size)| self.vision_input(*medium, size))
            .collect())
    }

    fn merge(&self, kind: MediaKind) -> usize {
        match kind {
            MediaKind::Image => self.config.image_merge,
            MediaKind::Video => self.config.video_merge,
        }
    }

    fn extent(&self, medium: Media<'_>) -> Result<Extent> {
        let frames = medium.frames();
        let first = frames
            .first()
            .ok_or_else(|| Error::Input("a video has no frames".to_owned()))?;
        let side = |frame: &Frame| (frame.width, frame.height);
        for (index, frame) in frames.iter().enumerate() {
            let (width, height) = side(frame);
            if side(frame) != side(first) {
                return Err(Error::Input(format!(
                    "frame {index} is {width}x{height}, the first is {}x{}: frames of a video must have one size",
                    first.width, first.height
                )));
            }
            if frame.rgb.len() as u64 != 3 * u64::from(width) * u64::from(height) {
                return Err(Error::Input(format!(
                    "frame {index} of {width}x{height} has {} bytes",
                    frame.rgb.len()
                )));
            }
        }
        Ok(Extent {
            frames: frames.len() as u64,
            size: Size {
                height: first.height.into(),
                width: first.width.into(),
            },
            factor: (self.config.patch_size * self.merge(medium.kind())) as u64,
        })
    }

    fn sizes(&self, kinds: &[MediaKind], extents: &[Extent]) -> Result<Vec<Size>> {
        match self.config.bounds {
            Bounds::Original(limits) => size::original_sizes(extents, limits),
            Bounds::Port { image, video } => kinds
                .iter()
                .zip(extents)
                .map(|(kind, extent)| {
                    let limits = match kind {
                        MediaKind::Image => image,
                        MediaKind::Video => size::Limits {
                            max_pixels: video.max_pixels / extent.frames,
                            ..video
                        },
                    };
                    size::port_size(extent.size, extent.factor, limits)
                })
                .collect(),
        }
    }

    fn vision_input(&self, medium: Media<'_>, size: Size) -> VisionInput {
        let layout = self.config.layout();
        let flavour = match layout {
            Layout::Port => Flavour::Torchvision,
            Layout::Original => Flavour::Pillow,
        };
        let cut = Cut {
            patch: self.config.patch_size,
            merge: self.merge(medium.kind()),
        };
        let resized = bicubic_all(
            medium.frames(),
            size.width as u32,
            size.height as u32,
            flavour,
        );
        let (pixel_values, grid) =
            patches::patches(&resized, cut, &self.config.normalisation, layout);
        let kind = medium.kind();
        let keep = if kind == MediaKind::Video && self.config.compression == Compression::On {
            compress::kept_tokens(&pixel_values, grid, cut.merge)
        } else {
            vec![true; grid.iter().product::<usize>() / (cut.merge * cut.merge)]
        };
        VisionInput {
            kind,
            pixel_values,
            patch_dim: 3 * cut.patch * cut.patch,
            grid,
            merge: cut.merge,
            keep,
        }
    }
}

impl Media<'_> {
    fn frames(&self) -> &[Frame] {
        match self {
            Self::Image(frame) => std::slice::from_ref(*frame),
            Self::Video(frames) => frames,
        }
    }

    fn kind(self) -> MediaKind {
        match self {
            Self::Image(_) => MediaKind::Image,
            Self::Video(_) => MediaKind::Video,
        }
    }

    fn shown(self) -> Shown {
        match self {
            Self::Image(_) => Shown::Image,
            Self::Video(frames) => {
                Shown::Video(frames.iter().map(|frame| frame.seconds.0).collect())
            }
        }
    }
}
