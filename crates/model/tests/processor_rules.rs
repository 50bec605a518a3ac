//! The small rules of the processor against Python's tables: sizes, templates, tokens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::{Path, PathBuf};

use model::Tokenizer;
use model::processor::size::{Extent, Limits, Size, TokenLimits, original_sizes, port_size};
use model::template::{Ending, Template};
use proptest::prelude::*;
use serde_json::Value;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn table(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(goldens().join(format!("rules/{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn size(pair: &[u64]) -> Size {
    Size {
        height: pair[0],
        width: pair[1],
    }
}

#[test]
fn sizes_are_the_ports() {
    for row in table("port_sizes") {
        type Row = (u64, u64, u64, u64, u64, u64, Option<Vec<u64>>);
        let (height, width, factor, min, max, frames, want): Row =
            serde_json::from_value(row.clone()).unwrap();
        let limits = Limits {
            min_pixels: min,
            max_pixels: max / frames,
        };
        let found = port_size(Size { height, width }, factor, limits).ok();
        assert_eq!(found, want.as_deref().map(size), "{row}");
    }
}

#[test]
fn sizes_are_the_originals() {
    for row in table("original_sizes") {
        type Row = (Vec<[u64; 3]>, Vec<u64>, u64, u64, Vec<Vec<u64>>);
        let (media, merges, min_tokens, max_tokens, want): Row =
            serde_json::from_value(row.clone()).unwrap();
        let media: Vec<Extent> = media
            .iter()
            .zip(&merges)
            .map(|([frames, height, width], merge)| Extent {
                frames: *frames,
                size: Size {
                    height: *height,
                    width: *width,
                },
                factor: 14 * merge,
            })
            .collect();
        let limits = TokenLimits {
            min_tokens,
            max_tokens,
        };
        let want: Vec<Size> = want.iter().map(|pair| size(pair)).collect();
        // A side of 0, at which the original fails later.
        let possible = want.iter().all(|size| size.height > 0 && size.width > 0);
        let found = original_sizes(&media, limits).ok();
        assert_eq!(found, possible.then_some(want), "{row}");
    }
}

#[test]
fn more_frames_than_tokens_are_refused() {
    let side = |factor| Extent {
        frames: 100,
        size: Size {
            height: 90,
            width: 90,
        },
        factor,
    };
    let limits = TokenLimits {
        min_tokens: 1,
        max_tokens: 60,
    };
    let error = original_sizes(&[side(14), side(28)], limits).unwrap_err();
    assert!(error.to_string().contains("100 frames of 90x90"), "{error}");
}

proptest! {
    #[test]
    fn a_size_is_a_multiple_within_limits(height in 1u64..5000, width in 1u64..5000, factor in 1u64..120) {
        let limits = Limits { min_pixels: factor * factor, max_pixels: 100 * factor * factor };
        if let Ok(size) = port_size(Size { height, width }, factor, limits) {
            prop_assert!(size.height % factor == 0 && size.width % factor == 0);
            prop_assert!(size.height > 0 && size.width > 0);
        }
    }
}

#[test]
fn times_round_as_pythons() {
    for row in table("times") {
        let (seconds, want): (f64, String) = serde_json::from_value(row).unwrap();
        assert_eq!(format!("{seconds:.1}"), want);
        let rounded = render("{{ seconds | round(1) }}", "seconds", seconds.into());
        assert_eq!(
            rounded.parse::<f64>().unwrap(),
            want.parse::<f64>().unwrap()
        );
    }
}

fn render(source: &str, name: &str, value: Value) -> String {
    let mut template = Template::from_source(source).unwrap();
    template.set(name, value);
    template.render_json(&[], Ending::LastMessage).unwrap()
}

#[test]
fn templates_render_as_in_transformers() {
    for row in table("templates") {
        let mut template = Template::from_source(row["template"].as_str().unwrap()).unwrap();
        template.set("eos_token", "<|im_end|>".into());
        let messages: Vec<Value> = serde_json::from_str(row["messages"].as_str().unwrap()).unwrap();
        let ending = match row["add_generation_prompt"].as_bool().unwrap() {
            true => Ending::GenerationPrompt,
            false => Ending::LastMessage,
        };
        let rendered = template.render_json(&messages, ending).unwrap();
        assert_eq!(
            rendered,
            row["rendered"].as_str().unwrap(),
            "{}",
            row["template"]
        );
    }
}

// ---- hostile templates --------------------------------------------------------------------------

#[track_caller]
fn check_fails(source: &str, words: &str) {
    let error = match Template::from_source(source) {
        Err(error) => error,
        Ok(template) => template.render_json(&[], Ending::LastMessage).unwrap_err(),
    };
    assert!(
        error.to_string().contains(words),
        "{error} does not say {words:?}"
    );
}

#[test]
fn an_exception_of_the_template_is_passed_on() {
    check_fails(
        "{{ raise_exception('roles must alternate') }}",
        "roles must alternate",
    );
}

#[test]
fn an_endless_template_ends() {
    let inner = "{% for j in range(10000) %}{% for k in range(10000) %}{% endfor %}{% endfor %}";
    check_fails(inner, "fuel");
}

#[test]
fn a_template_that_calls_itself_ends() {
    check_fails(
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "recursion",
    );
}

#[test]
fn a_template_that_writes_without_end_ends() {
    let line = "x".repeat(1000);
    let source = format!("{{% for i in range(99999) %}}{line}{{% endfor %}}");
    check_fails(&source, "more than");
}

#[test]
fn a_word_repeated_without_end_is_refused() {
    check_fails("{{ 'x' * 100000000000 }}", "failed");
}

#[test]
fn a_broken_template_is_refused() {
    check_fails("{% for %}", "does not compile");
}

#[test]
fn a_tag_of_three_characters_is_refused() {
    check_fails("{%}", "does not compile");
}

#[test]
fn templates_have_no_files() {
    check_fails("{% include 'tokenizer.json' %}", "failed");
}

#[test]
fn marks_of_what_the_assistant_says_are_read_over() {
    let source = "a{%- generation -%} b {%- endgeneration %} c{% generation %}d{% endgeneration %}";
    assert_eq!(render(source, "unused", Value::Null), "ab cd");
}

proptest! {
    #[test]
    fn no_template_panics(source in "[{%}a-z'|. \\-\n]{0,60}") {
        if let Ok(template) = Template::from_source(&source) {
            let _ = template.render_json(&[], Ending::LastMessage);
        }
    }
}

// ---- tokens -------------------------------------------------------------------------------------

fn tokenizer() -> Tokenizer {
    Tokenizer::open(&goldens().join("sharded/checkpoint")).unwrap()
}

fn ids(tokens: Vec<model::tokenizer::Token>) -> Vec<u32> {
    tokens.into_iter().map(|token| token.id).collect()
}

#[test]
fn tokens_are_those_of_transformers() {
    let tokenizer = tokenizer();
    for row in table("tokens") {
        let (text, want, plain, decoded): (String, Vec<u32>, Vec<u32>, String) =
            serde_json::from_value(row).unwrap();
        assert_eq!(ids(tokenizer.encode(&text).unwrap()), want, "{text:?}");
        assert_eq!(
            ids(tokenizer.encode_as_text(&text).unwrap()),
            plain,
            "{text:?}"
        );
        assert_eq!(tokenizer.decode(&want).unwrap(), decoded, "{text:?}");
    }
}

#[test]
fn generation_stops_at_the_tokens_of_the_checkpoint() {
    let tokenizer = tokenizer();
    let want = ["<|im_end|>", "<|endoftext|>"].map(|token| tokenizer.id(token).unwrap());
    assert_eq!(tokenizer.stop_tokens(), want);
}

/// The pieces of a stream joined are the whole text, and no piece has half a character.
#[track_caller]
fn check_stream(ids: &[u32]) {
    let tokenizer = tokenizer();
    let whole = tokenizer.decode(ids).unwrap();
    let mut stream = tokenizer.stream();
    let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    assert!(
        pieces
            .iter()
            .all(|piece| !piece.ends_with(char::REPLACEMENT_CHARACTER))
    );
    pieces.push(stream.finish().unwrap());
    assert_eq!(pieces.concat(), whole);
}

#[test]
fn a_character_of_many_tokens_comes_whole() {
    check_stream(&ids(tokenizer()
        .encode("é 方块 🙂👩\u{200d}👧 ok")
        .unwrap()));
}

#[test]
fn half_a_character_at_the_end_is_not_lost() {
    let mut cut = ids(tokenizer().encode("ok 🙂").unwrap());
    cut.pop();
    check_stream(&cut);
}

proptest! {
    #[test]
    fn a_stream_is_the_whole_text(ids in prop::collection::vec(0u32..315, 0..30)) {
        check_stream(&ids);
    }

    #[test]
    fn text_survives_tokens(text in "[a-z é方🙂\n0-9.]{0,40}") {
        let tokenizer = tokenizer();
        let ids = ids(tokenizer.encode(&text).unwrap());
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
}
