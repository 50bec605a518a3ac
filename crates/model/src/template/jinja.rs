//! The interpreter of chat templates: Jinja as `transformers` sets it up, with bounds.

use std::io::{self, Write};

use minijinja::value::{Kwargs, Rest, ValueKind, ViaDeserialize};
use minijinja::{AutoEscape, Environment, ErrorKind, Value as Object};
use serde_json::{Value, json};

/// Steps of the interpreter for one conversation; real templates take some tens a message.
const FUEL: u64 = 5_000_000;
/// Calls within calls.
const DEPTH: usize = 64;

/// Text up to a length.
pub(super) struct Bounded {
    pub(super) text: String,
    limit: usize,
}

impl Bounded {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            limit,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let words = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        if self.text.len() + words.len() > self.limit {
            return Err(io::Error::other(format!(
                "it writes more than {} bytes",
                self.limit
            )));
        }
        self.text.push_str(words);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `transformers` marks what the assistant says with `{% generation %}`; the text is the same without.
pub(super) fn without_generation_blocks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, inside)) = rest.split_once("{%") {
        let Some((tag, after)) = inside.split_once("%}") else {
            break;
        };
        out.push_str(before);
        out.push_str("{%");
        match tag.trim_matches(['-', '+']).trim() {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        out.push_str("%}");
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The interpreter as `transformers` sets up Jinja for chat templates, but without `strftime_now`:
/// a prompt is the same every day, and templates that ask whether it is defined use their own date.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(|out, state, value| match python_word(value) {
        Some(word) => out.write_str(word).map_err(minijinja::Error::from),
        None => minijinja::escape_formatter(out, state, value),
    });
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_filter("tojson", |value: ViaDeserialize<Value>, options: Kwargs| {
        let indent: Option<usize> = options.get("indent")?;
        options.get::<Option<bool>>("ensure_ascii")?;
        options.assert_all_used()?;
        Ok::<_, minijinja::Error>(python_json(&value.0, indent, 0))
    });
    environment.add_filter("round", |value: f64, places: Rest<i32>| {
        let places = usize::try_from(places.first().copied().unwrap_or(0))
            .unwrap_or(0)
            .min(17);
        // Formatting rounds the exact binary value, halves to even, as Python does.
        format!("{value:.places$}").parse::<f64>().unwrap_or(value)
    });
    environment
}

fn python_word(value: &Object) -> Option<&'static str> {
    if value.is_none() {
        return Some("None");
    }
    if value.kind() != ValueKind::Bool {
        return None;
    }
    Some(if value.is_true() { "True" } else { "False" })
}

/// `json.dumps(value, ensure_ascii=False, indent=indent)`.
fn python_json(value: &Value, indent: Option<usize>, depth: usize) -> String {
    let (open, comma, close) = match indent {
        Some(width) => {
            let line = |depth: usize| format!("\n{}", " ".repeat((width * depth).min(4096)));
            (
                line(depth + 1),
                format!(",{}", line(depth + 1)),
                line(depth),
            )
        }
        None => (String::new(), ", ".to_owned(), String::new()),
    };
    match value {
        Value::Array(list) if !list.is_empty() => {
            let inner: Vec<String> = list
                .iter()
                .map(|v| python_json(v, indent, depth + 1))
                .collect();
            format!("[{open}{}{close}]", inner.join(&comma))
        }
        Value::Object(map) if !map.is_empty() => {
            let inner: Vec<String> = map
                .iter()
                .map(|(key, v)| format!("{}: {}", json!(key), python_json(v, indent, depth + 1)))
                .collect();
            format!("{{{open}{}{close}}}", inner.join(&comma))
        }
        other => other.to_string(),
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: &minijinja::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        words = format!("{words}: {next}");
        cause = next.source();
    }
    words
}
