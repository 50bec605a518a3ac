//! The tokens of the world's language: a byte-level BPE trained on its sentences, with Qwen2's special
//! tokens, written as a Hugging Face tokenizer.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    AddedToken, PostProcessorWrapper, SplitDelimiterBehavior, Tokenizer, TokenizerImpl,
};

/// Qwen2's words. `transformers` splits so whatever `tokenizer.json` says, so nothing else would give
/// both the same tokens.
const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Qwen2's special tokens and the two alarm tokens.
const SPECIAL: [&str; 9] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|visual_alarm|>",
    "<|textual_alarm|>",
];

/// What stands around the sentences of every prompt, so that it too costs few tokens.
const AROUND: &str = "user\nassistant\nsystem\nTime 0.0s:,Time 1.5s:,\n";

/// Writes the conversation as Qwen2 does, media before the text of a turn.
const CHAT_TEMPLATE: &str = r"{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\n' }}
    {%- if message['content'] is string %}
        {{- message['content'] }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' %}
                {{- '<|image_pad|>\n' }}
            {%- elif part['type'] == 'video' %}
                {{- '<|video_pad|>\n' }}
            {%- elif part['type'] == 'text' %}
                {{- part['text'] }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
";

/// Enough for nearly every word of the world to be one token, so that no query or answer is longer
/// than 14.
pub(crate) const SIZE: usize = 896;

/// Trains on `sentences`, up to `size` tokens; the same sentences give the same tokenizer.
pub(crate) fn train(
    sentences: impl Iterator<Item = String> + Send,
    size: usize,
) -> Result<Tokenizer> {
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(SPECIAL.map(|token| AddedToken::from(token, true)).to_vec())
        .build();
    let split = Split::new(
        SplitPattern::Regex(WORDS.to_owned()),
        SplitDelimiterBehavior::Isolated,
        false,
    )
    .map_err(|error| anyhow!("cannot split words: {error}"))?;
    let bytes = ByteLevel::new(false, true, false);
    let mut tokenizer: TokenizerImpl<BPE, NFC, Sequence, PostProcessorWrapper, ByteLevel> =
        TokenizerImpl::new(BPE::default());
    tokenizer
        .with_normalizer(Some(NFC))
        .map_err(|error| anyhow!("cannot train the tokenizer: {error}"))?
        .with_pre_tokenizer(Some(Sequence::new(vec![split.into(), bytes.into()])))
        .with_decoder(Some(ByteLevel::default()));
    let sentences = sentences.chain(std::iter::repeat_n(AROUND.to_owned(), 256));
    tokenizer
        .train(&mut trainer, sentences)
        .map_err(|error| anyhow!("cannot train the tokenizer: {error}"))?;
    Ok(serde_json::from_str(&serde_json::to_string(&tokenizer)?)?)
}

/// Writes what a checkpoint folder says of its language: the tokenizer, the chat template, when to stop.
pub(crate) fn save(tokenizer: &Tokenizer, folder: &Path) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let json = tokenizer
        .to_string(true)
        .map_err(|error| anyhow!("cannot write the tokenizer: {error}"))?;
    write("tokenizer.json", &json)?;
    let config = serde_json::json!({
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 2048,
        "chat_template": CHAT_TEMPLATE,
    });
    write(
        "tokenizer_config.json",
        &serde_json::to_string_pretty(&config)?,
    )?;
    write("chat_template.jinja", CHAT_TEMPLATE)?;
    let stops = ["<|im_end|>", "<|endoftext|>"].map(|token| id(tokenizer, token));
    let [end, pad] = stops;
    let generation = serde_json::json!({"eos_token_id": [end?, pad?]});
    write(
        "generation_config.json",
        &serde_json::to_string_pretty(&generation)?,
    )
}

/// The id of a special token.
pub(crate) fn id(tokenizer: &Tokenizer, token: &str) -> Result<u32> {
    tokenizer
        .token_to_id(token)
        .with_context(|| format!("the tokenizer has no {token}"))
}

#[cfg(test)]
mod tests {
    use train::data::Record;

    use super::*;
    use crate::demo::world::{self, Size};

    fn records() -> Vec<Record> {
        world::train(Size::default(), 19, 1).items
    }

    fn tokenizer() -> Tokenizer {
        train(
            records()
                .into_iter()
                .flat_map(|record| [record.query, record.answer]),
            SIZE,
        )
        .unwrap()
    }

    fn longest(tokenizer: &Tokenizer, texts: impl Iterator<Item = String>) -> usize {
        texts
            .map(|text| tokenizer.encode(text, false).unwrap().len())
            .max()
            .unwrap()
    }

    #[test]
    fn one_text_trains_one_tokenizer() {
        assert_eq!(
            tokenizer().to_string(false).unwrap(),
            tokenizer().to_string(false).unwrap()
        );
    }

    #[test]
    fn any_text_comes_back_as_it_was() {
        let tokenizer = tokenizer();
        for text in [
            "What does the star do?",
            "naïve 日本 🙂\n  two",
            " leading",
            "I'm sorry, but I can't",
        ] {
            let ids = tokenizer.encode(text, false).unwrap();
            assert_eq!(tokenizer.decode(ids.get_ids(), true).unwrap(), text);
        }
    }

    #[test]
    fn special_tokens_are_one_token_each() {
        let tokenizer = tokenizer();
        for token in SPECIAL {
            assert_eq!(
                tokenizer.encode(token, false).unwrap().get_ids(),
                [id(&tokenizer, token).unwrap()]
            );
        }
    }

    #[test]
    fn queries_and_answers_are_short() {
        let tokenizer = tokenizer();
        assert!(longest(&tokenizer, records().into_iter().map(|record| record.query)) <= 16);
        assert!(
            longest(
                &tokenizer,
                records().into_iter().map(|record| record.answer)
            ) <= 20
        );
    }

    #[test]
    fn what_is_saved_loads_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = tokenizer();
        save(&tokenizer, folder.path()).unwrap();
        let loaded = Tokenizer::from_file(folder.path().join("tokenizer.json")).unwrap();
        let text = "<|im_start|>user\n<|video_pad|>\nHow do I glorp a zindle?<|im_end|>\n";
        assert_eq!(
            loaded.encode(text, false).unwrap().get_ids(),
            tokenizer.encode(text, false).unwrap().get_ids()
        );
    }

    #[test]
    fn a_role_is_one_token() {
        let tokenizer = tokenizer();
        for role in ["user", "assistant", "system"] {
            assert_eq!(tokenizer.encode(role, false).unwrap().len(), 1, "{role}");
        }
    }
}
