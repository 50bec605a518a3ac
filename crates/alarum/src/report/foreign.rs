//! Text that a model, a benchmark or a judge wrote, made harmless for a terminal and a page.

/// Foreign text with everything made visible that steers a terminal or reorders a line.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\t' => plain.push(c),
            // Unicode has a picture for each of the first 32, and for the one after `~`.
            '\0'..='\u{1f}' => {
                plain.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
            }
            '\u{7f}' => plain.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{202d}' | '\u{202e}' => {
                plain.push_str(&format!("[U+{:04X}]", u32::from(c)));
            }
            _ => plain.push(c),
        }
    }
    plain
}

/// [`plain`] on one line, cut after `most` characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    let line = plain(text).replace(['\n', '\t'], " ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_made_visible() {
        assert_eq!(
            plain("a\u{1b}[31mred\0\u{7f}\u{9b}x"),
            "a␛[31mred␀␡[U+009B]x"
        );
        assert_eq!(plain("one\r\ntwo\ttabs\rback"), "one\ntwo\ttabs␍back");
        assert_eq!(plain("abc\u{202e}fed"), "abc[U+202E]fed");
    }

    #[test]
    fn a_line_is_one_line_and_no_longer_than_asked() {
        assert_eq!(line("a\nb", 9), "a b");
        assert_eq!(line("ещё одно слово", 6), "ещё о…");
    }
}
