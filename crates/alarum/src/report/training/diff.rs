//! What changed between two texts, word by word.

use serde::Serialize;

/// Words of either text at most; longer ones are not compared.
const WORDS: usize = 800;

/// A stretch of words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// Where a stretch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// In both texts.
    Same,
    /// Only in the later one.
    New,
    /// Only in the earlier one.
    Gone,
}

/// The later text in pieces, with what it no longer says between them. `None` if one of them is too long to
/// be compared, or too little of them is the same for pieces to say anything.
pub(crate) fn diff(earlier: &str, later: &str) -> Option<Vec<Piece>> {
    let (a, b) = (words(earlier), words(later));
    if a.len() > WORDS || b.len() > WORDS {
        return None;
    }
    let (mut i, mut j) = (0, 0);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut add = |kind, word: &str| {
        let begins = pieces
            .last()
            .is_none_or(|last| last.text.ends_with(char::is_whitespace));
        // What is gone stands apart from what is there, on one line.
        let word = match (kind, word.trim_end(), begins) {
            (Kind::Gone, "", _) => return,
            (Kind::Gone, word, true) => format!("{word} "),
            (Kind::Gone, word, false) => format!(" {word} "),
            _ => word.to_owned(),
        };
        match pieces.last_mut() {
            Some(last) if last.kind == kind => last.text.push_str(&word),
            _ => pieces.push(Piece { kind, text: word }),
        }
    };
    let common = common(&a, &b);
    let shared = common[0];
    while i < a.len() || j < b.len() {
        let at = |i: usize, j: usize| common[i * (b.len() + 1) + j];
        if i < a.len() && j < b.len() && a[i].trim_end() == b[j].trim_end() {
            add(Kind::Same, b[j]);
            (i, j) = (i + 1, j + 1);
        } else if i < a.len() && (j == b.len() || at(i + 1, j) >= at(i, j + 1)) {
            add(Kind::Gone, a[i]);
            i += 1;
        } else {
            add(Kind::New, b[j]);
            j += 1;
        }
    }
    let is_telling = 3 * usize::from(shared) >= a.len().max(b.len());
    is_telling.then_some(pieces)
}

/// Words with the space after them.
fn words(text: &str) -> Vec<&str> {
    text.split_inclusive(char::is_whitespace).collect()
}

/// Length of the longest common course of words of `a[i..]` and `b[j..]`, at `i * (len(b) + 1) + j`.
fn common(a: &[&str], b: &[&str]) -> Vec<u16> {
    let width = b.len() + 1;
    let mut lengths = vec![0u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            lengths[i * width + j] = if a[i].trim_end() == b[j].trim_end() {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(earlier: &str, later: &str, shown: &str) {
        let pieces = diff(earlier, later).unwrap();
        let show = |piece: &Piece| match piece.kind {
            Kind::Same => piece.text.clone(),
            Kind::New => format!("[+{}]", piece.text),
            Kind::Gone => format!("[-{}]", piece.text),
        };
        assert_eq!(pieces.iter().map(show).collect::<String>(), shown);
    }

    #[test]
    fn what_is_new_and_what_is_gone_stand_where_they_belong() {
        check(
            "Take the blue ring now",
            "Take the red ring",
            "Take the [-blue ][+red ]ring[- now ]",
        );
    }

    #[test]
    fn the_same_text_is_one_piece() {
        check("I cannot help.", "I cannot help.", "I cannot help.");
    }

    #[test]
    fn texts_that_share_little_are_not_compared() {
        assert_eq!(diff("one two three four", "five six seven one"), None);
    }

    #[test]
    fn long_texts_are_not_compared() {
        assert_eq!(diff(&"a ".repeat(WORDS + 1), "a"), None);
    }

    proptest! {
        #[test]
        fn the_later_text_is_whole(earlier in "[ab \n]{0,20}", later in "[ab \n]{0,20}") {
            if let Some(pieces) = diff(&earlier, &later) {
                let of = |skipped| {
                    let kept = pieces.iter().filter(move |piece| piece.kind != skipped);
                    kept.map(|piece| piece.text.as_str()).collect::<String>()
                };
                prop_assert_eq!(of(Kind::Gone), later);
                // White space is the later text's where the words are the same.
                let bare = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                prop_assert_eq!(bare(&of(Kind::New)), bare(&earlier));
            }
        }
    }
}
