//! Lines of a file that may be hostile: each is bounded, so that a line of four gigabytes costs no
//! memory.

use std::io::{BufRead, Read};

/// The longest line of a file that other people wrote.
pub(crate) const LIMIT: usize = 1 << 20;

/// What the next line is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes, without the line break.
    Whole(Vec<u8>),
    /// It is longer than the limit; it was skipped.
    TooLong,
    /// The file ends with these bytes and no line break.
    Torn(Vec<u8>),
}

/// The next line of at most `limit` bytes, or nothing at the end.
pub(crate) fn next(from: &mut impl BufRead, limit: usize) -> std::io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    from.by_ref()
        .take(limit as u64 + 1)
        .read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        return Ok(Some(Line::Whole(bytes)));
    }
    if bytes.len() <= limit {
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
        std::iter::from_fn(|| next(&mut text, 8).unwrap()).collect()
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
        let text = b"123456789abcdef\nnext\n";
        assert_eq!(all(text), [Line::TooLong, Line::Whole(b"next".into())]);
    }

    #[test]
    fn a_line_of_just_the_limit_is_read() {
        let text = b"12345678\nnext\n";
        assert_eq!(
            all(text),
            [Line::Whole(b"12345678".into()), Line::Whole(b"next".into())]
        );
        assert_eq!(all(b"12345678"), [Line::Torn(b"12345678".into())]);
    }

    proptest::proptest! {
        #[test]
        fn every_byte_is_in_one_line(text in proptest::collection::vec(proptest::sample::select(b"ab\n".to_vec()), 0..64)) {
            let mut joined = Vec::new();
            let mut reader = text.as_slice();
            while let Some(line) = next(&mut reader, 64).unwrap() {
                match line {
                    Line::Whole(bytes) => joined.extend(bytes.into_iter().chain([b'\n'])),
                    Line::Torn(bytes) => joined.extend(bytes),
                    Line::TooLong => unreachable!("no text is longer than the limit"),
                }
            }
            assert_eq!(joined, text);
        }
    }
}
