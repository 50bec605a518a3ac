//! The golden conversations with their pictures, as a caller of the crate has them.

use std::path::{Path, PathBuf};

use model::processor::Media;
use model::{Message, Part, Prepared, Processor, Purpose};
use serde_json::Value;
use video::{Frame, Seconds};

pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

pub(crate) fn json(path: &str) -> Value {
    let text = std::fs::read_to_string(goldens().join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn frame(file: &str, seconds: f64) -> Frame {
    let image = image::open(goldens().join("media").join(file))
        .unwrap()
        .into_rgb8();
    Frame {
        width: image.width(),
        height: image.height(),
        rgb: image.into_raw(),
        seconds: Seconds(seconds),
    }
}

/// The messages of a golden prompt; media are numbered as they come.
pub(crate) fn messages(list: &Value) -> Vec<Message> {
    let mut media = 0;
    let mut out = Vec::new();
    for message in list.as_array().unwrap() {
        let mut content = Vec::new();
        for part in message["content"].as_array().unwrap() {
            content.push(if part["type"] == "text" {
                Part::Text(part["text"].as_str().unwrap().to_owned())
            } else {
                media += 1;
                Part::Media(media - 1)
            });
        }
        out.push(Message {
            role: serde_json::from_value(message["role"].clone()).unwrap(),
            content,
        });
    }
    out
}

pub(crate) struct Loaded {
    pub(crate) frames: Vec<Frame>,
    pub(crate) is_video: bool,
}

impl Loaded {
    pub(crate) fn media(&self) -> Media<'_> {
        if self.is_video {
            Media::Video(&self.frames)
        } else {
            Media::Image(&self.frames[0])
        }
    }
}

pub(crate) fn media(prompt: &Value) -> Vec<Loaded> {
    prompt["media"]
        .as_array()
        .unwrap()
        .iter()
        .map(|medium| {
            let seconds = |i: usize| medium["seconds"][i].as_f64().unwrap_or(0.0);
            let files = medium["files"].as_array().unwrap().iter().enumerate();
            Loaded {
                frames: files
                    .map(|(i, file)| frame(file.as_str().unwrap(), seconds(i)))
                    .collect(),
                is_video: medium["kind"] == "video",
            }
        })
        .collect()
}

pub(crate) fn prepare(processor: &Processor, prompt: &Value, purpose: Purpose) -> Prepared {
    let loaded = media(prompt);
    let media: Vec<Media<'_>> = loaded.iter().map(Loaded::media).collect();
    processor
        .prepare(&messages(&prompt["messages"]), &media, purpose)
        .unwrap()
}

pub(crate) fn ids(list: &Value) -> Vec<u32> {
    serde_json::from_value(list.clone()).unwrap()
}

pub(crate) fn open(folder: &str) -> Processor {
    Processor::open(&goldens().join(folder).join("checkpoint")).unwrap()
}
