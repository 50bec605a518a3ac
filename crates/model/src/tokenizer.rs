//! Words to tokens and back, as the checkpoint's `tokenizer.json` says.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer as Backend;

use crate::error::{Error, Result};

/// Ends a turn of a Qwen2 chat.
pub const END_OF_TURN: &str = "<|im_end|>";
/// Ends a document.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Stands where the model looks at the video for harm.
pub const VISUAL_ALARM: &str = "<|visual_alarm|>";
/// Stands where the model looks at the text for harm.
pub const TEXTUAL_ALARM: &str = "<|textual_alarm|>";

/// The tokenizer of a checkpoint.
#[derive(Clone)]
pub struct Tokenizer {
    matching: Backend,
    /// The same, but special tokens in its input are words like any other.
    plain: Backend,
    special: Vec<String>,
    stop: Vec<u32>,
}

/// A token and the bytes of the input that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Byte range of the input.
    pub bytes: Range<usize>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary", &self.vocabulary())
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json`, and the stop tokens from `generation_config.json` and `config.json`.
    ///
    /// # Errors
    /// If a file is absent (the last two may be) or is not what it should be.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        let mut matching = Backend::from_bytes(&bytes).map_err(|error| Error::Checkpoint {
            path: path.clone(),
            reason: format!("not a tokenizer: {error}"),
        })?;
        // Whole prompts are wanted, whatever the file says.
        matching.with_padding(None);
        matching
            .with_truncation(None)
            .map_err(|error| Error::Checkpoint {
                path,
                reason: error.to_string(),
            })?;
        matching.set_encode_special_tokens(false);
        let mut plain = matching.clone();
        plain.set_encode_special_tokens(true);
        let mut special: Vec<String> = matching
            .get_added_tokens_decoder()
            .into_values()
            .filter(|token| token.special && !token.content.is_empty())
            .map(|token| token.content)
            .collect();
        // Longer ones first: a token goes before those that it contains.
        special.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let mut stop = stop_tokens(folder)?;
        stop.extend(matching.token_to_id(END_OF_TURN));
        stop.extend(matching.token_to_id(END_OF_TEXT));
        Ok(Self {
            matching,
            plain,
            special,
            stop: stop.into_iter().collect(),
        })
    }

    /// The id of one token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.matching.token_to_id(token)
    }

    /// One more than the highest id.
    pub fn vocabulary(&self) -> usize {
        let added = self.matching.get_added_tokens_decoder().into_keys();
        let highest = added.max().map_or(0, |id| id as usize + 1);
        highest.max(self.matching.get_vocab_size(true))
    }

    /// Tokens at which generation ends, ascending.
    pub fn stop_tokens(&self) -> &[u32] {
        &self.stop
    }

    /// The special tokens, longest first.
    pub fn special_tokens(&self) -> &[String] {
        &self.special
    }

    /// The first special token that `text` contains: words of a user should not.
    pub fn special_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.next_special(text).map(|range| &text[range])
    }

    /// Where the first special token of `text` stands; of two at one place, the longer one.
    pub(crate) fn next_special(&self, text: &str) -> Option<Range<usize>> {
        self.special
            .iter()
            .filter_map(|token| text.find(token).map(|start| start..start + token.len()))
            .min_by_key(|range| (range.start, usize::MAX - range.len()))
    }

    /// Tokens of `text`, in which special tokens are themselves.
    ///
    /// # Errors
    /// If the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<Token>> {
        encode(&self.matching, text)
    }

    /// Tokens of `text`, in which special tokens are words like any other.
    ///
    /// # Errors
    /// If the tokenizer refuses the text.
    pub fn encode_as_text(&self, text: &str) -> Result<Vec<Token>> {
        encode(&self.plain, text)
    }

    /// The text of `ids`, without special tokens.
    ///
    /// # Errors
    /// If the tokenizer refuses the ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.matching.decode(ids, true).map_err(|error| {
            Error::Input(format!("{} tokens cannot be decoded: {error}", ids.len()))
        })
    }

    /// Decodes tokens as they come.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream {
            tokenizer: self,
            ids: Vec::new(),
            shown: 0,
        }
    }
}

fn encode(backend: &Backend, text: &str) -> Result<Vec<Token>> {
    let encoding = backend.encode(text, false).map_err(|error| {
        Error::Input(format!(
            "{} bytes of text cannot be tokenized: {error}",
            text.len()
        ))
    })?;
    Ok(encoding
        .get_ids()
        .iter()
        .zip(encoding.get_offsets())
        .map(|(&id, &(start, end))| Token {
            id,
            bytes: start..end,
        })
        .collect())
}

/// Text of tokens as they come; never half a character.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// Those that the next text depends on.
    ids: Vec<u32>,
    /// How many of `ids` have been shown: decoding needs some before, for its spaces.
    shown: usize,
}

impl TextStream<'_> {
    /// The text that `id` completes; empty while a character is incomplete.
    ///
    /// # Errors
    /// If the tokenizer refuses the id.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let (new, whole) = self.pending()?;
        if whole.ends_with(char::REPLACEMENT_CHARACTER) || new.is_empty() {
            return Ok(String::new());
        }
        self.ids.drain(..self.shown);
        self.shown = self.ids.len();
        Ok(new)
    }

    /// What is left at the end: replacement characters for a character that never came whole.
    ///
    /// # Errors
    /// If the tokenizer refuses an id.
    pub fn finish(self) -> Result<String> {
        Ok(self.pending()?.0)
    }

    fn pending(&self) -> Result<(String, String)> {
        let before = self.tokenizer.decode(&self.ids[..self.shown])?;
        let whole = self.tokenizer.decode(&self.ids)?;
        let new = whole
            .strip_prefix(before.as_str())
            .unwrap_or(&whole)
            .to_owned();
        Ok((new, whole))
    }
}

/// `eos_token_id` of `generation_config.json` and `config.json`.
fn stop_tokens(folder: &Path) -> Result<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    for name in ["generation_config.json", "config.json"] {
        let path = folder.join(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(Error::File { path, source }),
        };
        let value: Value = serde_json::from_str(&text).map_err(|error| Error::Checkpoint {
            path: path.clone(),
            reason: format!("not JSON: {error}"),
        })?;
        let text_config = value
            .get("text_config")
            .and_then(|text| text.get("eos_token_id"));
        for found in value.get("eos_token_id").into_iter().chain(text_config) {
            let listed = found
                .as_array()
                .map_or(std::slice::from_ref(found), Vec::as_slice);
            for id in listed.iter().filter(|id| !id.is_null()) {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                ids.insert(id.ok_or_else(|| Error::Checkpoint {
                    path: path.clone(),
                    reason: format!("`eos_token_id` is {found}, not a token or a list of them"),
                })?);
            }
        }
    }
    Ok(ids)
}
