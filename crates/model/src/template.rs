//! The checkpoint's own chat template: a conversation as the text that the model was trained on.
//!
//! Templates are programs of strangers: they run in an interpreter without files, clock or network,
//! with bounds on steps, depth and output.

use std::path::{Path, PathBuf};

use minijinja::{Environment, Value as Object, context};
use serde_json::{Map, Value, json};

use crate::config::Layout;
use crate::error::{Error, Result};
use crate::message::{Message, Part};

mod jinja;

use jinja::{Bounded, chain, environment, without_generation_blocks};

/// Longest template, in bytes.
const LONGEST: usize = 1 << 20;
/// Longest rendered conversation, in bytes.
const LONGEST_OUTPUT: usize = 64 << 20;

/// How the rendered text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the header of the answer, for the model to go on.
    GenerationPrompt,
    /// With the last message.
    LastMessage,
}

/// What a template knows of one image or video.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// An image.
    Image,
    /// A video with the times of its frames in seconds.
    Video(Vec<f64>),
}

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    path: PathBuf,
    content: Content,
    variables: Map<String, Value>,
}

/// The form in which a template wants a message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A list of typed parts.
    Parts,
    /// One string.
    Words,
}

const NAME: &str = "chat";

impl Template {
    /// The template of a checkpoint folder: `chat_template.jinja`, `chat_template.json`, or
    /// `chat_template` in `tokenizer_config.json`, the first that is there; else the form that the
    /// published checkpoints of `layout` have.
    ///
    /// # Errors
    /// If a file cannot be read or the template cannot be compiled.
    pub fn open(folder: &Path, layout: Layout) -> Result<Self> {
        let settings = read_json(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let (path, source) = find(folder, &settings)?.unwrap_or_else(|| {
            let built_in = match layout {
                Layout::Port => PORT,
                Layout::Original => ORIGINAL,
            };
            (folder.to_owned(), built_in.to_owned())
        });
        let mut template = Self::compile(path, &source)?;
        template.variables = special_tokens(&settings);
        if layout == Layout::Original {
            template
                .variables
                .insert("image_token".to_owned(), json!("<image>"));
            template
                .variables
                .insert("add_system_prompt".to_owned(), json!(false));
        }
        Ok(template)
    }

    /// A template from its text.
    ///
    /// # Errors
    /// If it cannot be compiled.
    pub fn from_source(source: &str) -> Result<Self> {
        Self::compile(PathBuf::from("chat template"), source)
    }

    fn compile(path: PathBuf, source: &str) -> Result<Self> {
        let wrong = |reason: String| Error::Checkpoint {
            path: path.clone(),
            reason,
        };
        if source.len() > LONGEST {
            return Err(wrong(format!(
                "a chat template of {} bytes is too long",
                source.len()
            )));
        }
        let content = if inspects_parts(source) {
            Content::Parts
        } else {
            Content::Words
        };
        let mut environment = environment();
        environment
            .add_template_owned(NAME, without_generation_blocks(source))
            .map_err(|error| {
                wrong(format!(
                    "the chat template does not compile: {}",
                    chain(&error)
                ))
            })?;
        Ok(Self {
            environment,
            path,
            content,
            variables: Map::new(),
        })
    }

    /// Sets a variable that the template may read, as `add_system_prompt`.
    pub fn set(&mut self, name: &str, value: Value) {
        self.variables.insert(name.to_owned(), value);
    }

    /// The conversation as text, with the template's placeholders for `media`.
    ///
    /// # Errors
    /// If the template raises an exception, exceeds its bounds, or takes only words and there are
    /// media.
    pub fn render(&self, messages: &[Message], media: &[Shown], ending: Ending) -> Result<String> {
        let messages = messages
            .iter()
            .map(|message| self.message(message, media))
            .collect::<Result<Vec<_>>>()?;
        self.render_json(&messages, ending)
    }

    /// As [`render`](Self::render), from messages in the form that templates read.
    ///
    /// # Errors
    /// If the template raises an exception or exceeds its bounds.
    pub fn render_json(&self, messages: &[Value], ending: Ending) -> Result<String> {
        let failed = |error: minijinja::Error| {
            let path = self.path.display();
            Error::Input(format!(
                "the chat template of {path} failed: {}",
                chain(&error)
            ))
        };
        let template = self.environment.get_template(NAME).map_err(failed)?;
        let mut out = Bounded::new(LONGEST_OUTPUT);
        let values = context! {
            messages => messages,
            tools => Vec::<Value>::new(),
            documents => (),
            add_generation_prompt => ending == Ending::GenerationPrompt,
            ..Object::from_serialize(&self.variables)
        };
        template
            .render_captured_to(values, &mut out)
            .map_err(failed)?;
        Ok(out.text)
    }

    fn message(&self, message: &Message, media: &[Shown]) -> Result<Value> {
        let content = match self.content {
            Content::Parts => Value::Array(
                message
                    .content
                    .iter()
                    .map(|part| part_json(part, media))
                    .collect::<Result<_>>()?,
            ),
            Content::Words => {
                let words: Option<String> = message
                    .content
                    .iter()
                    .map(|part| match part {
                        Part::Text(words) => Some(words.as_str()),
                        Part::Media(_) => None,
                    })
                    .collect();
                let path = self.path.display();
                Value::String(words.ok_or_else(|| {
                    Error::Input(format!(
                        "the chat template of {path} has no place for images or videos"
                    ))
                })?)
            }
        };
        Ok(json!({"role": message.role.name(), "content": content}))
    }
}

fn part_json(part: &Part, media: &[Shown]) -> Result<Value> {
    match part {
        Part::Text(words) => Ok(json!({"type": "text", "text": words})),
        Part::Media(index) => match media.get(*index) {
            Some(Shown::Image) => Ok(json!({"type": "image"})),
            Some(Shown::Video(times)) => Ok(json!({
                "type": "video", "num_frames": times.len(), "timestamps": times,
            })),
            None => Err(Error::Input(format!(
                "a message shows medium {index}, but only {} are given",
                media.len()
            ))),
        },
    }
}

/// Templates that take typed parts ask for a part's type, or for the keys of the original's form.
fn inspects_parts(source: &str) -> bool {
    [
        "['type']",
        "[\"type\"]",
        ".type",
        "'type' in",
        "'image' in",
        "\"image\" in",
    ]
    .iter()
    .any(|sign| source.contains(sign))
}

fn read_json(path: &Path) -> Result<Option<Value>> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Error::Checkpoint {
                path: path.to_owned(),
                reason: format!("not JSON: {error}"),
            }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            path: path.to_owned(),
            source,
        }),
    }
}

fn find(folder: &Path, tokenizer_config: &Value) -> Result<Option<(PathBuf, String)>> {
    let path = folder.join("chat_template.jinja");
    match std::fs::read_to_string(&path) {
        Ok(source) => return Ok(Some((path, source))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::File { path, source }),
    }
    let path = folder.join("chat_template.json");
    if let Some(json) = read_json(&path)?
        && let Some(source) = named(json.get("chat_template"))
    {
        return Ok(Some((path, source)));
    }
    let source = named(tokenizer_config.get("chat_template"));
    Ok(source.map(|source| (folder.join("tokenizer_config.json"), source)))
}

/// A template, or the one called `default` of a list of them.
fn named(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(source) => Some(source.clone()),
        Value::Array(list) => list
            .iter()
            .find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|entry| entry.get("template")?.as_str().map(str::to_owned)),
        _ => None,
    }
}

/// `eos_token` and its like, which templates may write.
fn special_tokens(settings: &Value) -> Map<String, Value> {
    ["bos_token", "eos_token", "unk_token", "pad_token"]
        .into_iter()
        .filter_map(|key| {
            let token = settings.get(key)?;
            let words = token.as_str().or_else(|| token.get("content")?.as_str())?;
            Some((key.to_owned(), json!(words)))
        })
        .collect()
}

/// What the port's published checkpoints write: each image or video is one placeholder and a newline.
const PORT: &str = "\
{% for message in messages %}\
<|im_start|>{{ message['role'] }}\n\
{% for part in message['content'] %}\
{% if part['type'] == 'image' %}{{ '<|image_pad|>\\n' }}\
{% elif part['type'] == 'video' %}{{ '<|video_pad|>\\n' }}\
{% else %}{{ part['text'] }}{% endif %}\
{% endfor %}{{ '<|im_end|>\\n' }}\
{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// What the original writes: a placeholder for each frame of a video, with its time.
const ORIGINAL: &str = "\
{% for message in messages %}\
<|im_start|>{{ message['role'] }}\n\
{% for part in message['content'] %}\
{% if part['type'] == 'image' %}{{ '<image>\\n' }}\
{% elif part['type'] == 'video' %}{% for time in part['timestamps'] %}\
{{ 'Time ' ~ (time | round(1)) ~ 's:<image>' ~ ('\\n' if loop.last else ',') }}\
{% endfor %}\
{% else %}{{ part['text'] }}{% endif %}\
{% endfor %}{{ '<|im_end|>\\n' }}\
{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
