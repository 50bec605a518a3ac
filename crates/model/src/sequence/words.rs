//! Special tokens in the words of a message: what a user types must not become what only the
//! template may write.
//!
//! The way of `apply_chat_template(..., sanitize_control_tokens=True)` of `transformers`: before
//! rendering, each special token in a message's words is put between two private-use characters;
//! after rendering, what stands between them is encoded as plain text.

use crate::error::{Error, Result};
use crate::message::{Message, Part};
use crate::tokenizer::{Token, Tokenizer};

/// Before a special token that is a word.
pub(super) const GUARD_START: char = '\u{F0000}';
const GUARD_END: char = '\u{F0001}';

/// What special tokens in a message's words are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialTokens {
    /// Tokens, as in the references by default: words can end a turn and begin another.
    #[default]
    AsTokens,
    /// Words like any other.
    AsWords,
}

/// The messages with every special token in their words between guards. A token that two texts in a
/// row would make together is kept apart by one guard, at which the text is cut.
pub(super) fn guarded(
    messages: &[Message],
    tokenizer: &Tokenizer,
    special: SpecialTokens,
) -> Vec<Message> {
    let mut messages = messages.to_vec();
    if special == SpecialTokens::AsTokens {
        return messages;
    }
    for message in &mut messages {
        let mut before = String::new();
        for part in &mut message.content {
            let Part::Text(words) = part else {
                before.clear();
                continue;
            };
            let bare = words.replace([GUARD_START, GUARD_END], "");
            let cut = if joins(&before, &bare, tokenizer) {
                GUARD_END.to_string()
            } else {
                String::new()
            };
            *words = cut + &guard(&bare, tokenizer);
            before.push_str(&bare);
        }
    }
    messages
}

/// Whether the end of `before` and the beginning of `after` make a special token together.
fn joins(before: &str, after: &str, tokenizer: &Tokenizer) -> bool {
    tokenizer.special_tokens().iter().any(|token| {
        (1..token.len()).any(|cut| {
            token.is_char_boundary(cut)
                && before.ends_with(&token[..cut])
                && (after.starts_with(&token[cut..])
                    // The rest may come in more than one text.
                    || token[cut..].starts_with(after))
        })
    })
}

fn guard(words: &str, tokenizer: &Tokenizer) -> String {
    let mut out = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(found) = tokenizer.next_special(rest) {
        out.push_str(&rest[..found.start]);
        out.extend([GUARD_START]);
        out.push_str(&rest[found.clone()]);
        out.extend([GUARD_END]);
        rest = &rest[found.end..];
    }
    out.push_str(rest);
    out
}

/// `text` as it was before [`guarded`].
pub(super) fn without_guards(text: &str, special: SpecialTokens) -> String {
    match special {
        SpecialTokens::AsTokens => text.to_owned(),
        SpecialTokens::AsWords => text.replace([GUARD_START, GUARD_END], ""),
    }
}

/// Tokens of a rendered prompt; their byte ranges are in `text`, guards included.
pub(super) fn encode(
    text: &str,
    tokenizer: &Tokenizer,
    special: SpecialTokens,
) -> Result<Vec<Token>> {
    if special == SpecialTokens::AsTokens {
        return tokenizer.encode(text);
    }
    let newline = tokenizer.encode("\n")?.len();
    let mut tokens = Vec::new();
    for (start, piece) in pieces(text, tokenizer) {
        let (words, as_text) = match piece {
            Piece::Text(words) => (words, false),
            Piece::Guarded(words) => (words, true),
        };
        let encode = |words: &str| {
            if as_text {
                tokenizer.encode_as_text(words)
            } else {
                tokenizer.encode(words)
            }
        };
        if words.is_empty() {
            continue;
        }
        // In the middle of a text, so that no tokenizer adds what it adds at a beginning.
        let mut encoded = if start == 0 {
            encode(words)?
        } else {
            let after_newline = encode(&format!("\n{words}"))?;
            if after_newline
                .get(newline)
                .is_some_and(|token| token.bytes.start == 1)
            {
                let mut rest = after_newline[newline..].to_vec();
                for token in &mut rest {
                    token.bytes = token.bytes.start - 1..token.bytes.end - 1;
                }
                rest
            } else {
                encode(words)?
            }
        };
        if as_text
            && encoded
                .iter()
                .any(|token| Some(token.id) == tokenizer.id(words))
        {
            return Err(Error::Input(format!(
                "{words} cannot be read as words: the tokenizer makes it from plain text"
            )));
        }
        for token in &mut encoded {
            token.bytes = token.bytes.start + start..token.bytes.end + start;
        }
        tokens.extend(encoded);
    }
    Ok(tokens)
}

enum Piece<'t> {
    Text(&'t str),
    Guarded(&'t str),
}

/// `text` cut at its guards. A guard that a template has torn from its token is dropped, but the
/// text is still cut there: what it kept apart must not grow together.
fn pieces<'t>(text: &'t str, tokenizer: &Tokenizer) -> Vec<(usize, Piece<'t>)> {
    let mut pieces = Vec::new();
    let mut done = 0;
    while let Some(offset) = text[done..].find([GUARD_START, GUARD_END]) {
        let at = done + offset;
        pieces.push((done, Piece::Text(&text[done..at])));
        let inside = at + GUARD_START.len_utf8();
        done = inside;
        if !text[at..].starts_with(GUARD_START) {
            continue;
        }
        if let Some(end) = text[inside..].find(GUARD_END)
            && tokenizer.id(&text[inside..inside + end]).is_some()
        {
            pieces.push((inside, Piece::Guarded(&text[inside..inside + end])));
            done = inside + end + GUARD_END.len_utf8();
        }
    }
    pieces.push((done, Piece::Text(&text[done..])));
    pieces
}
