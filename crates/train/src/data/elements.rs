//! JSON values of a file one by one: of JSONL each line, of a JSON array each element. The file may
//! be hostile: a value longer than [`MOST_BYTES`] is passed over unread, and an array of any length
//! costs the memory of one element.

use std::io::{self, BufRead, Read};

/// The longest value that is read.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// One value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// The line on which it begins, counted from 1.
    pub(super) line: usize,
    /// Its bytes.
    pub(super) text: Text,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// All of it.
    Whole(Vec<u8>),
    /// Why not.
    Bad(String),
}

/// How values follow each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// To be told from the first byte.
    Unknown,
    Lines,
    /// Behind `[`.
    ArrayBegun,
    /// Behind an element.
    Array,
    Ended,
}

/// The values of a file.
pub(super) struct Elements<R> {
    from: R,
    line: usize,
    form: Form,
}

impl<R: BufRead> Elements<R> {
    /// Of JSONL.
    pub(super) fn lines(from: R) -> Self {
        let (line, form) = (1, Form::Lines);
        Self { from, line, form }
    }

    /// Of JSONL, or of a JSON array if the first character is `[`.
    pub(super) fn of_either(from: R) -> Self {
        let (line, form) = (1, Form::Unknown);
        Self { from, line, form }
    }

    /// The next value, or nothing at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Element>> {
        if self.form == Form::Unknown {
            self.form = match self.peek_behind_space()? {
                Some(b'[') => {
                    self.from.consume(1);
                    Form::ArrayBegun
                }
                _ => Form::Lines,
            };
        }
        match self.form {
            Form::Lines => self.next_line(),
            Form::Ended => Ok(None),
            Form::ArrayBegun | Form::Array | Form::Unknown => self.next_of_array(),
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Element>> {
        loop {
            let mut text = Vec::new();
            let most = MOST_BYTES as u64 + 1;
            if self.from.by_ref().take(most).read_until(b'\n', &mut text)? == 0 {
                return Ok(None);
            }
            let line = self.line;
            self.line += 1;
            if text.len() > MOST_BYTES && text.last() != Some(&b'\n') {
                self.from.skip_until(b'\n')?;
                let text = Text::Bad(format!("is longer than {MOST_BYTES} bytes"));
                return Ok(Some(Element { line, text }));
            }
            if !text.trim_ascii().is_empty() {
                let text = Text::Whole(text);
                return Ok(Some(Element { line, text }));
            }
        }
    }

    fn next_of_array(&mut self) -> io::Result<Option<Element>> {
        let mut next = self.peek_behind_space()?;
        if self.form == Form::Array && next == Some(b',') {
            self.from.consume(1);
            next = self.peek_behind_space()?;
        } else if self.form == Form::Array && next != Some(b']') {
            return Ok(Some(self.broken("expected `,` or `]` here")));
        } else if next == Some(b']') {
            self.from.consume(1);
            return match self.peek_behind_space()? {
                None => {
                    self.form = Form::Ended;
                    Ok(None)
                }
                Some(_) => Ok(Some(
                    self.broken("the array has ended, but the file goes on"),
                )),
            };
        }
        self.form = Form::Array;
        match next {
            Some(b',' | b']' | b'}') => Ok(Some(self.broken("expected an object here"))),
            None => Ok(Some(self.broken("the file ends inside the array"))),
            Some(_) => self.value().map(Some),
        }
    }

    /// A value whose first byte is next.
    fn value(&mut self) -> io::Result<Element> {
        let line = self.line;
        let mut value = Vec::new();
        let (mut length, mut depth, mut in_string, mut escaped) = (0, 0_usize, false, false);
        loop {
            let Some(byte) = self.peek()? else {
                return Ok(self.broken("the file ends inside this value"));
            };
            if depth == 0 && length > 0 && !in_string && matches!(byte, b',' | b']' | b'}') {
                break;
            }
            self.take(byte);
            length += 1;
            if length <= MOST_BYTES {
                value.push(byte);
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => continue,
            }
            if depth == 0 && !in_string && !escaped {
                break;
            }
        }
        let text = if length > MOST_BYTES {
            Text::Bad(format!("is longer than {MOST_BYTES} bytes"))
        } else {
            Text::Whole(value)
        };
        Ok(Element { line, text })
    }

    /// Nothing can be read behind this.
    fn broken(&mut self, reason: &str) -> Element {
        self.form = Form::Ended;
        Element {
            line: self.line,
            text: Text::Bad(reason.to_owned()),
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.from.fill_buf()?.first().copied())
    }

    fn peek_behind_space(&mut self) -> io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.take(byte);
        }
        Ok(None)
    }

    fn take(&mut self, byte: u8) {
        self.from.consume(1);
        if byte == b'\n' {
            self.line += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn all(text: &[u8]) -> Vec<(usize, Result<String, String>)> {
        let mut elements = Elements::of_either(text);
        let mut found = Vec::new();
        while let Some(Element { line, text }) = elements.next().unwrap() {
            let text = match text {
                Text::Whole(bytes) => Ok(String::from_utf8_lossy(&bytes).trim().to_owned()),
                Text::Bad(reason) => Err(reason),
            };
            found.push((line, text));
        }
        found
    }

    #[track_caller]
    fn check(text: &str, want: &[(usize, &str)]) {
        let found = all(text.as_bytes());
        let found: Vec<(usize, &str)> = found
            .iter()
            .map(|(line, text)| (*line, text.as_deref().unwrap_or("bad")))
            .collect();
        assert_eq!(found, want, "{text:?}");
    }

    #[test]
    fn each_line_is_a_value() {
        check("{}\n\n{\"a\": 1}", &[(1, "{}"), (3, "{\"a\": 1}")]);
    }

    #[test]
    fn each_element_of_an_array_is_a_value() {
        check(
            " [\n{\"a\": [1, 2]},\n {}\n, 3]\n",
            &[(2, "{\"a\": [1, 2]}"), (3, "{}"), (4, "3")],
        );
    }

    #[test]
    fn brackets_inside_a_string_mean_nothing() {
        check(
            r#"[{"a": "}]\"]"}, {}]"#,
            &[(1, r#"{"a": "}]\"]"}"#), (1, "{}")],
        );
    }

    #[test]
    fn an_empty_array_has_no_value() {
        check("[ ]", &[]);
        check("", &[]);
    }

    #[test]
    fn an_array_that_breaks_off_is_bad() {
        check("[{}, {\"a\"", &[(1, "{}"), (1, "bad")]);
        check("[{},", &[(1, "{}"), (1, "bad")]);
        check("[", &[(1, "bad")]);
    }

    #[test]
    fn elements_are_parted_by_one_comma() {
        check("[{} {}]", &[(1, "{}"), (1, "bad")]);
        check("[,{}]", &[(1, "bad")]);
        check("[{},]", &[(1, "{}"), (1, "bad")]);
        check("[{}] {}", &[(1, "{}"), (1, "bad")]);
        check("[}]", &[(1, "bad")]);
    }

    #[test]
    fn an_element_without_end_is_passed_over_and_the_next_one_read() {
        let long = format!("[\"{}\", {{}}]", "x".repeat(MOST_BYTES));
        check(&long, &[(1, "bad"), (1, "{}")]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(proptest::sample::select(b"[]{},\"\\ a\n".to_vec()), 0..40)) {
            all(&text);
        }

        #[test]
        fn elements_are_those_of_a_whole_parser(texts in proptest::collection::vec(".{0,8}", 0..5), pretty: bool) {
            let values: Vec<Value> = texts.iter().map(|text| serde_json::json!({"a": [text, 1.5, null], text: {}})).collect();
            let text = if pretty { serde_json::to_string_pretty(&values) } else { serde_json::to_string(&values) }.unwrap();
            let found: Vec<Value> = all(text.as_bytes()).into_iter().map(|(_, text)| serde_json::from_str(&text.unwrap()).unwrap()).collect();
            prop_assert_eq!(found, values);
        }
    }
}
