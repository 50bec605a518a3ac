//! Where in a TOML text a key stands.

use toml::de::{DeTable, DeValue};

/// The line, counted from 1, of the deepest part of `key` that the text has: `stage[1].grpo.group`.
pub(super) fn of(text: &str, key: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut value = DeValue::Table(table.into_inner());
    let mut found = None;
    for step in key.split('.') {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let DeValue::Table(mut table) = value else {
            break;
        };
        let Some((at, inner)) = table.remove_entry(name) else {
            break;
        };
        let mut here = at.span();
        value = inner.into_inner();
        if let Some(index) = index {
            let DeValue::Array(array) = value else { break };
            let Some(element) = array.into_iter().nth(index) else {
                break;
            };
            here = element.span();
            value = element.into_inner();
        }
        found = Some(here.start);
    }
    let start = found?;
    Some(1 + text[..start].matches('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n\n[[s]]\nx = 1\n\n[[s]]\nx = 2\ny = { z = 3 }\n[s.w]\nv = 4\n";

    #[track_caller]
    fn check(key: &str, want: Option<usize>) {
        assert_eq!(of(TEXT, key), want, "{key}");
    }

    #[test]
    fn a_key_at_the_top() {
        check("a", Some(1));
    }

    #[test]
    fn a_key_of_the_second_table_of_an_array() {
        check("s[1].x", Some(7));
    }

    #[test]
    fn a_key_inside_of_a_line() {
        check("s[1].y.z", Some(8));
    }

    #[test]
    fn a_key_of_a_table_with_a_header() {
        check("s[1].w.v", Some(10));
    }

    #[test]
    fn a_default_that_is_not_written_is_at_its_table() {
        check("s[1].y.unknown", Some(8));
    }

    #[test]
    fn a_key_that_is_nowhere() {
        check("b", None);
    }
}
