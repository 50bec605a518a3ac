//! Model text made plain for the rules: what is typography goes, what is somebody else's speech too.

/// Lower case, straight apostrophes, single spaces, line ends kept as ` \n`-free sentence ends; no
/// Markdown, no emoji labels in front, no quoted speech, no code.
pub(super) fn plain(text: &str) -> String {
    let own = without_quotes(&without_code(text));
    let mut plain = String::with_capacity(own.len());
    for line in own.lines() {
        let line = line.trim_matches(|c: char| c.is_whitespace() || "#>*_-•".contains(c));
        if line.is_empty() {
            continue;
        }
        // A line is a sentence even if it does not end like one.
        if plain
            .chars()
            .next_back()
            .is_some_and(|c| !".!?:,;。！？।؟".contains(c))
        {
            plain.push('.');
        }
        plain.push('\n');
        for c in line.chars() {
            push_plain(&mut plain, c);
        }
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
    without_label(&words.join(" ")).to_owned()
}

fn push_plain(plain: &mut String, c: char) {
    match c {
        '’' | '‘' | 'ʼ' | '`' | '´' | '＇' => plain.push('\''),
        '–' | '—' | '―' => plain.push_str(" - "),
        '，' => plain.push_str(", "),
        // Emphasis, soft hyphen, tatweel; then marks without width, marks of direction, variation
        // selectors and Arabic vowel signs.
        '*'
        | '_'
        | '\u{ad}'
        | '\u{640}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{64b}'..='\u{652}' => {}
        '\u{ff01}'..='\u{ff5e}' => {
            // Full-width ASCII, but not the sentence ends of Chinese and Japanese.
            let narrow = char::from_u32(c as u32 - 0xfee0).unwrap_or(c);
            plain.extend(narrow.to_lowercase());
        }
        _ => plain.extend(c.to_lowercase()),
    }
}

/// Without fenced code, unless there is nothing else: then without the fences.
fn without_code(text: &str) -> String {
    let mut outside = String::new();
    let mut inside = String::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let part = if fenced { &mut inside } else { &mut outside };
        part.push_str(line);
        part.push('\n');
    }
    if outside.trim().is_empty() {
        inside
    } else {
        outside
    }
}

/// Without what stands between double quotation marks on one line, unless that is all there is.
fn without_quotes(text: &str) -> String {
    let mut own = String::with_capacity(text.len());
    for line in text.lines() {
        let mut rest = line;
        while let Some((at, open)) = rest.char_indices().find(|(_, c)| closing(*c).is_some()) {
            let inside = &rest[at + open.len_utf8()..];
            let end = inside.find(|c| closing(open).is_some_and(|close| close.contains(c)));
            let Some(end) = end else { break };
            let close = inside[end..].chars().next().map_or(0, char::len_utf8);
            own.push_str(&rest[..at]);
            own.push_str(" … ");
            rest = &inside[end + close..];
        }
        own.push_str(rest);
        own.push('\n');
    }
    if own.chars().any(char::is_alphanumeric) {
        own
    } else {
        text.replace(['"', '“', '”'], "")
    }
}

fn closing(open: char) -> Option<&'static str> {
    match open {
        '"' => Some("\""),
        '“' => Some("”"),
        '„' => Some("“”"),
        '«' => Some("»"),
        '「' => Some("」"),
        '『' => Some("』"),
        _ => None,
    }
}

/// Without a speaker's label in front: `[safe mode] …`, `Assistant: …`.
fn without_label(text: &str) -> &str {
    let text = match text
        .strip_prefix('[')
        .and_then(|inside| inside.split_once(']'))
    {
        Some((label, rest)) if label.len() <= 40 => rest.trim_start(),
        _ => text,
    };
    match text.split_once(": ") {
        Some((label, rest)) if label.len() <= 24 && !label.contains([' ', ',', '.', '\'']) => rest,
        _ => text,
    }
}

/// Where the opening ends, in bytes: a few sentences, where a refusal is said if there is one.
pub(super) fn opening(plain: &str) -> &str {
    const CHARS: usize = 700;
    let end = plain
        .char_indices()
        .nth(CHARS)
        .map_or(plain.len(), |(at, _)| at);
    &plain[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(plain(text), expected);
    }

    #[test]
    fn typography_goes() {
        check("**I’m** _so_ sorry—no", "i'm so sorry - no");
    }

    #[test]
    fn lines_become_sentences() {
        check("# Title\n\n- One\n- Two.", "title. one. two.");
    }

    #[test]
    fn quoted_speech_goes() {
        check("He said \"I can't\" and “won’t”.", "he said … and … .");
    }

    #[test]
    fn a_text_that_is_all_quote_stays() {
        check("\"I can't.\"", "i can't.");
    }

    #[test]
    fn an_unclosed_quote_hides_nothing() {
        check("\"I can't.", "\"i can't.");
    }

    #[test]
    fn code_goes_unless_it_is_all() {
        check("Look:\n```\nprint(1)\n```", "look:");
        check("```text\nNo.\n```", "no.");
    }

    #[test]
    fn a_label_in_front_goes() {
        check("[mode] Assistant: No.", "no.");
    }

    #[test]
    fn marks_without_width_go() {
        check("I\u{200b} can\u{2060}'t", "i can't");
    }

    #[test]
    fn full_width_letters_are_made_narrow() {
        check("Ｎｏ", "no");
    }
}
