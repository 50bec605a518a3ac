//! Gives a checkpoint that lacks them the two alarm tokens: single special tokens of its tokenizer,
//! with rows in its embedding table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, Tokenizer as Backend};

use crate::config::{Config, Layout};
use crate::error::{Error, Result};
use crate::names;
use crate::tokenizer::{TEXTUAL_ALARM, VISUAL_ALARM};
use crate::weights::{files, map, write};

/// What registering came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Id of `<|visual_alarm|>`.
    pub visual: u32,
    /// Id of `<|textual_alarm|>`.
    pub textual: u32,
    /// Rows that the embedding table (and an output layer of its own) grew by.
    pub new_rows: usize,
}

/// Copies the checkpoint folder `source` to `out`, which must not exist yet, with the two alarm tokens
/// as special tokens. A tokenizer that has them stays as it is. Where the embedding table has no room
/// for their ids it grows, by rows that are the mean of the others, and `vocab_size` with it.
/// Written aside first and then renamed.
///
/// # Errors
/// If `out` exists, a file cannot be read or written, or one of the words is a token of another kind.
pub fn register(source: &Path, out: &Path) -> Result<Registered> {
    if out.exists() {
        return Err(Error::Checkpoint {
            path: out.to_owned(),
            reason: "exists already; name a folder that does not".to_owned(),
        });
    }
    let config = Config::open(source)?;
    let tokenizer = Tokens::open(source)?;
    let rows = config.text.vocab_size;
    let needed = tokenizer.visual.max(tokenizer.textual) as usize + 1;
    let new_rows = needed.saturating_sub(rows);
    let aside = aside(out);
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(at(&aside))?;
    }
    std::fs::create_dir_all(&aside).map_err(at(&aside))?;
    copy(source, &aside)?;
    tokenizer.write(&aside)?;
    if new_rows > 0 {
        grow(&aside, &config, new_rows)?;
        write_vocabulary(&aside, &config, needed)?;
    }
    std::fs::rename(&aside, out).map_err(at(out))?;
    Ok(Registered {
        visual: tokenizer.visual,
        textual: tokenizer.textual,
        new_rows,
    })
}

/// Where the folder is made.
fn aside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".writing");
    out.with_file_name(name)
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// All files of a folder, links followed, folders in it left out.
fn copy(source: &Path, out: &Path) -> Result<()> {
    for entry in std::fs::read_dir(source).map_err(at(source))? {
        let from = entry.map_err(at(source))?.path();
        if from.is_file() {
            let to = out.join(from.file_name().unwrap_or_default());
            std::fs::copy(&from, &to).map_err(at(&from))?;
        }
    }
    Ok(())
}

/// `tokenizer.json` with the alarm tokens in it.
struct Tokens {
    file: Value,
    visual: u32,
    textual: u32,
    /// Those that the file lacked.
    added: Vec<(&'static str, u32)>,
}

impl Tokens {
    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let mut file = read(&path)?;
        let wrong = |reason: String| Error::Checkpoint {
            path: path.clone(),
            reason,
        };
        let bytes = std::fs::read(&path).map_err(at(&path))?;
        let mut backend =
            Backend::from_bytes(&bytes).map_err(|e| wrong(format!("not a tokenizer: {e}")))?;
        let mut added = Vec::new();
        let mut register = |word: &'static str| -> Result<u32> {
            if let Some(id) = backend.token_to_id(word) {
                let known = backend.get_added_tokens_decoder().remove(&id);
                return match known {
                    Some(token) if token.special => Ok(id),
                    _ => Err(wrong(format!(
                        "{word} is token {id} already, but not a special one: \
                         remove it from the vocabulary or mark it special"
                    ))),
                };
            }
            // The tokenizer itself says which id comes next.
            backend
                .add_special_tokens([AddedToken::from(word, true)])
                .map_err(|e| wrong(format!("{word} cannot be added: {e}")))?;
            let id = backend
                .token_to_id(word)
                .ok_or_else(|| wrong(format!("{word} was not added")))?;
            added.push((word, id));
            Ok(id)
        };
        let (visual, textual) = (register(VISUAL_ALARM)?, register(TEXTUAL_ALARM)?);
        if !added.is_empty() {
            let list = file
                .get_mut("added_tokens")
                .and_then(Value::as_array_mut)
                .ok_or_else(|| wrong("`added_tokens` is missing".to_owned()))?;
            for (word, id) in &added {
                let mut entry = Map::from_iter([("id".to_owned(), json!(id))]);
                entry.extend(described(word));
                list.push(Value::Object(entry));
            }
        }
        Ok(Self {
            file,
            visual,
            textual,
            added,
        })
    }

    /// Into `tokenizer.json`, and into the older files that list tokens too, where they are.
    fn write(&self, folder: &Path) -> Result<()> {
        if self.added.is_empty() {
            return Ok(());
        }
        save(&folder.join("tokenizer.json"), &self.file)?;
        let edit = |name: &str, change: &dyn Fn(&mut Value)| -> Result<()> {
            let path = folder.join(name);
            if !path.is_file() {
                return Ok(());
            }
            let mut value = read(&path)?;
            change(&mut value);
            save(&path, &value)
        };
        edit("tokenizer_config.json", &|value| {
            if let Some(Value::Object(decoder)) = value.get_mut("added_tokens_decoder") {
                for (word, id) in &self.added {
                    decoder.insert(id.to_string(), Value::Object(described(word)));
                }
            }
            self.list_in(value);
        })?;
        edit("special_tokens_map.json", &|value| self.list_in(value))?;
        edit("added_tokens.json", &|value| {
            if let Value::Object(ids) = value {
                for (word, id) in &self.added {
                    ids.insert((*word).to_owned(), json!(id));
                }
            }
        })
    }

    /// Where a file lists special tokens by their words, under the older key or the newer one.
    fn list_in(&self, value: &mut Value) {
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            if let Some(Value::Array(list)) = value.get_mut(key) {
                list.extend(self.added.iter().map(|(word, _)| json!(word)));
            }
        }
    }
}

/// A special token as tokenizer files describe it.
fn described(word: &str) -> Map<String, Value> {
    let fields = [
        ("content", json!(word)),
        ("single_word", json!(false)),
        ("lstrip", json!(false)),
        ("rstrip", json!(false)),
        ("normalized", json!(false)),
        ("special", json!(true)),
    ];
    fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// Adds rows to the embedding table and to an output layer, wherever in the folder they are.
fn grow(folder: &Path, config: &Config, new_rows: usize) -> Result<()> {
    let mut tables = names::in_layout("model.language_model.embed_tokens.weight", config.layout);
    tables.push("lm_head.weight".to_owned());
    let mut new_bytes = 0;
    for path in files(folder)? {
        let file = map(&path)?;
        let names: Vec<String> = file.tensors().into_iter().map(|(name, _)| name).collect();
        if !names.iter().any(|name| tables.contains(name)) {
            continue;
        }
        let mut tensors = BTreeMap::new();
        for name in names {
            let mut tensor = file.load(&name, &Device::Cpu)?;
            if tables.contains(&name) {
                let mean = tensor.to_dtype(DType::F32)?.mean_keepdim(0)?; // [1, E]
                let width = mean.dim(1)?;
                let rows = mean.broadcast_as((new_rows, width))?;
                tensor = Tensor::cat(&[&tensor, &rows.to_dtype(tensor.dtype())?], 0)?;
                new_bytes += new_rows * width * tensor.dtype().size_in_bytes();
            }
            tensors.insert(name, tensor);
        }
        drop(file);
        write(tensors.iter().map(|(n, t)| (n.clone(), t)).collect(), &path)?;
    }
    count_bytes(folder, new_bytes)
}

/// The size of all tensors that the index of a sharded checkpoint states.
fn count_bytes(folder: &Path, new: usize) -> Result<()> {
    let path = folder.join("model.safetensors.index.json");
    if !path.is_file() {
        return Ok(());
    }
    let mut index = read(&path)?;
    if let Some(size) = index.pointer_mut("/metadata/total_size")
        && let Some(bytes) = size.as_u64()
    {
        *size = json!(bytes + new as u64);
    }
    save(&path, &index)
}

fn write_vocabulary(folder: &Path, config: &Config, rows: usize) -> Result<()> {
    let path = folder.join("config.json");
    let mut value = read(&path)?;
    let section = match config.layout {
        Layout::Port => value.get_mut("text_config"),
        Layout::Original => Some(&mut value),
    };
    if let Some(Value::Object(section)) = section {
        section.insert("vocab_size".to_owned(), json!(rows));
    }
    save(&path, &value)
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(at(path))?;
    serde_json::from_str(&text).map_err(|error| Error::Checkpoint {
        path: path.to_owned(),
        reason: format!("not JSON: {error}"),
    })
}

fn save(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("a value read from JSON is JSON");
    std::fs::write(path, text + "\n").map_err(at(path))
}
