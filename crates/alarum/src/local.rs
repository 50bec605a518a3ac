//! Our own weights behind the trait that evaluation knows: the one place where the two meet.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use chat::{AlarmScores, ChatError, ChatModel, ChatRequest, Finish, Media, Progress, Reply};
use futures::future::BoxFuture;
use model::generate::{Flow, Generation, Stop};
use model::message::{Message, Role};
use model::processor::Prepared;
use model::sampling::Sampling as Draw;
use model::{Part, Processor, Purpose, VideoLlama3};
use video::Sampling;

use crate::args::{Model, Place, Precision};
use crate::media::clip;
use crate::progress::UserError;

/// A checkpoint folder as a model that can be asked.
#[derive(Clone)]
pub(crate) struct LocalModel {
    inner: Arc<Inner>,
    name: String,
    concurrency: usize,
}

struct Inner {
    network: VideoLlama3,
    processor: Processor,
}

impl LocalModel {
    /// Opens the folder that the flags name.
    pub(crate) fn open(arguments: &Model) -> Result<Self> {
        if !arguments.model.is_dir() {
            bail!(UserError(format!(
                "{} is not a folder: give the folder of a Hugging Face checkpoint",
                arguments.model.display()
            )));
        }
        let dtype = match arguments.dtype {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        };
        Self::load(&arguments.model, dtype, &device(arguments.device)?)
    }

    /// Opens a checkpoint folder.
    pub(crate) fn load(folder: &Path, dtype: DType, device: &Device) -> Result<Self> {
        let open = || format!("cannot open the model in {}", folder.display());
        let processor = Processor::open(folder).with_context(open)?;
        let network = VideoLlama3::open(folder, dtype, device).with_context(open)?;
        let name = folder
            .file_name()
            .map_or("model".into(), |name| name.to_string_lossy().into_owned());
        // On a CPU each prompt runs on a thread of its own; elsewhere one at a time fills the device.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let concurrency = if device.is_cpu() { cores } else { 1 };
        Ok(Self {
            inner: Arc::new(Inner { network, processor }),
            name,
            concurrency,
        })
    }

    /// Calls it something else than its folder.
    #[must_use]
    pub(crate) fn called(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The sampling that the checkpoint's processor asks for.
    pub(crate) fn own_sampling(&self) -> Sampling {
        self.inner.processor.sampling()
    }

    /// Everything of a request up to the network.
    pub(crate) fn prepare(&self, request: &ChatRequest) -> Result<Prepared, ChatError> {
        self.inner.prepare(request)
    }

    /// The logits of the next token `[V]`, and up to `count` greedy tokens.
    pub(crate) fn greedy(&self, prepared: &Prepared, count: usize) -> Result<(Vec<f32>, Vec<u32>)> {
        let Inner { network, processor } = &*self.inner;
        let embedding = self.inner.embed(prepared)?;
        let hidden = network.hidden(&embedding.unsqueeze(0)?, None, None)?;
        let last = hidden.narrow(1, hidden.dim(1)? - 1, 1)?;
        let logits = network
            .logits(&last)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1()?;
        let generation = Generation {
            max_tokens: count,
            sampling: Draw::GREEDY,
            seed: 0,
            stop_tokens: processor.tokenizer().stop_tokens().to_vec(),
        };
        let mut rows = network.generate(&[embedding], &generation, &mut |_, _| Flow::Continue)?;
        Ok((logits, rows.swap_remove(0).tokens))
    }

    /// Tokens as text, special tokens left out.
    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(self.inner.processor.tokenizer().decode(ids)?)
    }

    /// Answers, calling `on_text` with each piece as it comes.
    pub(crate) fn answer(
        &self,
        request: &ChatRequest,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Reply, ChatError> {
        self.inner.answer(request, on_text)
    }
}

impl Inner {
    fn prepare(&self, request: &ChatRequest) -> Result<Prepared, ChatError> {
        let refuse = |reason: String| ChatError::Input {
            id: request.id.clone(),
            reason,
        };
        let mut messages = Vec::new();
        if let Some(system) = &request.system {
            messages.push(Message::text(Role::System, system));
        }
        let shown = (0..request.media.len()).map(Part::Media);
        let content = shown.chain([Part::Text(request.text.clone())]).collect();
        messages.push(Message {
            role: Role::User,
            content,
        });
        if let Some(token) = self.processor.special_in(&messages) {
            tracing::warn!(
                id = request.id,
                token,
                "the question contains a special token of the model"
            );
        }
        let media: Vec<model::Media<'_>> = request
            .media
            .iter()
            .map(|media| match media {
                Media::Image(clip) => model::Media::Image(&clip.frames[0]),
                Media::Video(_) => model::Media::Video(&clip(media).frames),
            })
            .collect();
        self.processor
            .prepare(&messages, &media, Purpose::Generation)
            .map_err(|error| refuse(format!("{:#}", anyhow::Error::new(error))))
    }

    fn embed(&self, prepared: &Prepared) -> model::Result<Tensor> {
        let features = prepared
            .vision
            .iter()
            .map(|input| self.network.features(input))
            .collect::<model::Result<Vec<_>>>()?;
        self.network.embed(&prepared.sequence, &features)
    }

    /// What the alarm heads say of a prompt `[S, E]`; nothing in a model without them. Reads the prompt up
    /// to its alarm tokens once more than the answer needs.
    fn alarm(&self, prepared: &Prepared, prompt: &Tensor) -> model::Result<Option<AlarmScores>> {
        let (Some(alarm), Some(at)) = (self.network.alarm(), prepared.sequence.alarm) else {
            return Ok(None);
        };
        let read = prompt.narrow(0, 0, at.visual.max(at.textual) + 1)?;
        let hidden = self.network.hidden(&read.unsqueeze(0)?, None, None)?; // [1, S, E]
        let Some(scores) = alarm.scores(&hidden, at.visual, at.textual)? else {
            return Ok(None);
        };
        if !(scores.visual.is_finite() && scores.textual.is_finite()) {
            return Err(model::Error::Input(
                "the alarm heads give no number: alarm.safetensors or the weights are damaged"
                    .to_owned(),
            ));
        }
        Ok(Some(AlarmScores {
            // Without a video its token stands in the text: what its head says there is of nothing.
            visual: (!prepared.vision.is_empty()).then_some(scores.visual),
            textual: scores.textual,
        }))
    }

    fn answer(
        &self,
        request: &ChatRequest,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Reply, ChatError> {
        let prepared = self.prepare(request)?;
        let failed = |error: model::Error| ChatError::Model {
            id: request.id.clone(),
            reason: format!("{:#}", anyhow::Error::new(error)),
        };
        let tokenizer = self.processor.tokenizer();
        let generation = Generation {
            max_tokens: request.generation.max_tokens,
            sampling: Draw {
                temperature: request.generation.temperature,
                top_k: request.generation.top_k,
                top_p: request.generation.top_p,
            },
            seed: request.generation.seed,
            stop_tokens: tokenizer.stop_tokens().to_vec(),
        };
        let embedding = self.embed(&prepared).map_err(failed)?;
        let alarm = self.alarm(&prepared, &embedding).map_err(failed)?;
        let mut stream = tokenizer.stream();
        let mut text = String::new();
        let mut trouble = None;
        let rows = self
            .network
            .generate(
                &[embedding],
                &generation,
                &mut |_, token| match stream.push(token) {
                    Ok(piece) => {
                        on_text(&piece);
                        text.push_str(&piece);
                        Flow::Continue
                    }
                    Err(error) => {
                        trouble = Some(error);
                        Flow::Stop
                    }
                },
            );
        if let Some(error) = trouble {
            return Err(failed(error));
        }
        let row = rows.map_err(failed)?.swap_remove(0);
        let rest = stream.finish().map_err(failed)?;
        on_text(&rest);
        text.push_str(&rest);
        Ok(Reply {
            text,
            finish: if row.stop == Stop::Token {
                Finish::Stop
            } else {
                Finish::Length
            },
            prompt_tokens: prepared.sequence.input_ids.len(),
            completion_tokens: row.tokens.len(),
            alarm,
        })
    }
}

impl ChatModel for LocalModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn sampling(&self) -> Sampling {
        self.own_sampling()
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn reply<'a>(
        &'a self,
        request: ChatRequest,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<Reply, ChatError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let id = request.id.clone();
            let answering =
                tokio::task::spawn_blocking(move || inner.answer(&request, &mut |_| ()));
            let reply = answering.await.map_err(|error| ChatError::Model {
                id,
                reason: format!("answering ended abnormally: {error}"),
            })??;
            progress(&reply.text);
            Ok(reply)
        })
    }
}

fn device(place: Place) -> Result<Device> {
    match place {
        Place::Cpu => Ok(Device::Cpu),
        Place::Cuda => Device::new_cuda(0)
            .context("no CUDA device: build with --features cuda on a machine that has one"),
        Place::Metal => Device::new_metal(0)
            .context("no Metal device: build with --features metal on a machine that has one"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use video::{Clip, Frame, Seconds};

    use super::*;

    /// A small checkpoint with the alarm parts of the reference beside it, or without them.
    fn checkpoint(folder: &Path, has_alarm: bool) -> LocalModel {
        let goldens = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/goldens");
        let source = goldens.join("sharded/checkpoint");
        for entry in std::fs::read_dir(source).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        if has_alarm {
            let parts = goldens.join("alarm/alarm.safetensors");
            std::fs::copy(parts, folder.join("alarm.safetensors")).unwrap();
        }
        LocalModel::load(folder, DType::F32, &Device::Cpu).unwrap()
    }

    fn answer(model: &LocalModel, media: Vec<Media>) -> Reply {
        let request = ChatRequest {
            id: "a".to_owned(),
            system: None,
            media,
            text: "What is this?".to_owned(),
            generation: chat::Generation {
                max_tokens: 3,
                ..chat::Generation::default()
            },
        };
        model.answer(&request, &mut |_| ()).unwrap()
    }

    fn video() -> Vec<Media> {
        let frame = |index: u8| Frame {
            width: 56,
            height: 56,
            rgb: (0..56 * 56 * 3u32)
                .map(|i| (i % 251) as u8 ^ index)
                .collect(),
            seconds: Seconds(f64::from(index)),
        };
        let clip = Clip {
            frames: vec![frame(0), frame(9)],
            source_sha256: String::new(),
        };
        vec![Media::Video(Arc::new(clip))]
    }

    #[test]
    fn a_model_with_alarm_heads_scores_what_it_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let model = checkpoint(folder.path(), true);
        let [alone, shown] =
            [Vec::new(), video()].map(|media| answer(&model, media).alarm.unwrap());
        assert_eq!(alone.visual, None);
        let visual = shown.visual.unwrap();
        assert!((0.0..=1.0).contains(&visual), "{visual}");
        assert_ne!(alone.textual, shown.textual);
    }

    #[test]
    fn a_model_without_alarm_heads_has_no_scores() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            answer(&checkpoint(folder.path(), false), video()).alarm,
            None
        );
    }
}
