//! Lines of a file that may be hostile: each is bounded, so that a line of four gigabytes costs no
//! memory.

use std::io::{BufRead, Read};

/// A longer line is not read.
pub(crate) const LIMIT: usize = 1 << 20;

/// What the next line is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes, without the line break.
    Whole(Vec<u8>),
    /// It is longer than [`LIMIT`]; it was skipped.
    TooLong,
    /// The file ends with these bytes and no line break.
    Torn(Vec<u8>),
}

/// The next line, or nothing at the end.
pub(crate) fn next(from: &mut impl BufRead) -> std::io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    from.by_ref()
        .take(LIMIT as u64 + 1)
        .read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        return Ok(Some(Line::Whole(bytes)));
    }
    if bytes.len() <= LIMIT {
        return Ok(Some(Line::Torn(bytes)));
    }
    skip(from)?;
    Ok(Some(Line::TooLong))
}

/// Passes over the rest of a line.
fn skip(from: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let count = end.map_or(buffer.len(), |end| end + 1);
        from.consume(count);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut text: &[u8]) -> Vec<Line> {
        std::iter::from_fn(|| next(&mut text).unwrap()).collect()
    }

    #[test]
    fn lines_come_one_by_one() {
        assert_eq!(
            all(b"a\n\nb\n"),
            [
                Line::Whole(b"a".into()),
                Line::Whole(b"".into()),
                Line::Whole(b"b".into())
            ]
        );
    }

    #[test]
    fn a_last_line_without_its_break_is_torn() {
        assert_eq!(
            all(b"a\nb"),
            [Line::Whole(b"a".into()), Line::Torn(b"b".into())]
        );
    }

    #[test]
    fn an_endless_line_is_skipped_and_the_next_is_read() {
        let mut text = vec![b'x'; LIMIT + 5];
        text.extend(b"\nnext\n");
        assert_eq!(all(&text), [Line::TooLong, Line::Whole(b"next".into())]);
    }
}
