//! A conversation as tokens: what the decoder reads, and where the vision tokens and the alarm
//! tokens stand in it. This module owns positions.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::message::{Message, Part, Role};
use crate::template::{Ending, Shown, Template};
use crate::tokenizer::{END_OF_TURN, Token, Tokenizer};

mod expand;
mod words;

pub use expand::{Expansion, Placeholders};
pub use words::SpecialTokens;

/// Where the two alarm tokens stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmPositions {
    /// Index into `input_ids` of `<|visual_alarm|>`.
    pub visual: usize,
    /// Index into `input_ids` of `<|textual_alarm|>`.
    pub textual: usize,
}

/// One conversation as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The rendered prompt, placeholders expanded.
    pub prompt: String,
    /// `[S]`
    pub input_ids: Vec<u32>,
    /// For each medium in the order of the prompt, the runs of its vision tokens in `input_ids`.
    pub vision: Vec<Vec<Range<usize>>>,
    /// Where the alarm tokens stand, in a model that has them.
    pub alarm: Option<AlarmPositions>,
    /// `[S]` in training: the token itself where it is a target, `None` where it is only read.
    pub labels: Option<Vec<Option<u32>>>,
}

/// Whether the prompt has alarm tokens, and their ids (arXiv 2505.16643, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmTokens {
    /// The model has none.
    Absent,
    /// `<|visual_alarm|>` right after the last vision token of the first user turn,
    /// `<|textual_alarm|>` right before that turn's `<|im_end|>`; both there if the turn shows
    /// nothing.
    FirstUserTurn {
        /// Id of `<|visual_alarm|>`.
        visual: u32,
        /// Id of `<|textual_alarm|>`.
        textual: u32,
    },
}

/// What a sequence is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The model answers: the prompt ends with the header of its turn.
    Generation,
    /// The model learns: the answers and the `<|im_end|>` after each are labels.
    Training,
}

/// How conversations become tokens for one checkpoint.
#[derive(Debug)]
pub struct Sequencer {
    /// Words to tokens.
    pub tokenizer: Tokenizer,
    /// Conversation to words.
    pub template: Template,
    /// What stands for a vision token.
    pub placeholders: Placeholders,
    /// Whether prompts have alarm tokens.
    pub alarm: AlarmTokens,
    /// What special tokens in a message's words are.
    pub special: SpecialTokens,
}

/// One image or video as a sequence sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Image, or video with the times of its frames.
    pub shown: Shown,
    /// For each frame, how many vision tokens enter the prompt.
    pub per_frame: Vec<usize>,
}

impl Sequencer {
    /// The conversation as tokens. `media` are what the messages' parts point to; each is shown once.
    ///
    /// # Errors
    /// If a medium is missing or left over, the template fails, or words contain a placeholder or
    /// an alarm token (see [`SpecialTokens::AsWords`]).
    pub fn sequence(
        &self,
        messages: &[Message],
        media: &[Kept],
        purpose: Purpose,
    ) -> Result<Sequence> {
        let order = order(messages, media.len())?;
        let messages = words::guarded(messages, &self.tokenizer, self.special);
        let shown: Vec<Shown> = media.iter().map(|medium| medium.shown.clone()).collect();
        let ending = match purpose {
            Purpose::Generation => Ending::GenerationPrompt,
            Purpose::Training => Ending::LastMessage,
        };
        let rendered = self.template.render(&messages, &shown, ending)?;
        let ordered: Vec<&Kept> = order.iter().map(|&index| &media[index]).collect();
        let expansion = Expansion::new(&rendered, &ordered, &self.placeholders)?;
        let tokens = words::encode(&expansion.text, &self.tokenizer, self.special)?;
        let vision = self.vision_spans(&tokens, &ordered)?;
        let prefixes = Prefixes {
            template: &self.template,
            messages: &messages,
            shown: &shown,
            rendered: &rendered,
        };
        let labels = match purpose {
            Purpose::Generation => None,
            Purpose::Training => Some(labels(&tokens, &prefixes, &expansion)?),
        };
        let mut sequence = Sequence {
            prompt: words::without_guards(&expansion.text, self.special),
            input_ids: tokens.iter().map(|token| token.id).collect(),
            vision,
            alarm: None,
            labels,
        };
        if let AlarmTokens::FirstUserTurn { visual, textual } = self.alarm {
            let end = end_of_first_user_turn(&tokens, &prefixes, &expansion)?;
            insert_alarm(&mut sequence, end, [visual, textual])?;
            sequence.prompt = self.with_alarm_words(&sequence, &tokens, &expansion.text)?;
        }
        Ok(sequence)
    }

    /// The runs of each medium's vision tokens: placeholders are counted off in their order.
    fn vision_spans(&self, tokens: &[Token], media: &[&Kept]) -> Result<Vec<Vec<Range<usize>>>> {
        let is_placeholder = |token: &Token| self.placeholders.ids().contains(&token.id);
        let mut places = (0..tokens.len()).filter(|&i| is_placeholder(&tokens[i]));
        let mut spans = Vec::with_capacity(media.len());
        for medium in media {
            let mut runs: Vec<Range<usize>> = Vec::with_capacity(medium.per_frame.len());
            for &count in &medium.per_frame {
                let frame: Vec<usize> = places.by_ref().take(count).collect();
                match (frame.first(), frame.last()) {
                    (Some(&first), Some(&last))
                        if frame.len() == count && last + 1 - first == count =>
                    {
                        runs.push(first..last + 1);
                    }
                    _ => return Err(words_contain_a_placeholder(&self.placeholders)),
                }
            }
            spans.push(runs);
        }
        match places.next() {
            None => Ok(spans),
            Some(_) => Err(words_contain_a_placeholder(&self.placeholders)),
        }
    }

    /// The prompt with the words of the alarm tokens in their places.
    fn with_alarm_words(
        &self,
        sequence: &Sequence,
        tokens: &[Token],
        text: &str,
    ) -> Result<String> {
        let Some(AlarmPositions { visual, textual }) = sequence.alarm else {
            return Ok(sequence.prompt.clone());
        };
        // Before insertion the token after each alarm token was one or two places earlier.
        let (first, second) = (tokens[visual].bytes.start, tokens[textual - 1].bytes.start);
        let pieces = [
            &text[..first],
            crate::tokenizer::VISUAL_ALARM,
            &text[first..second],
            crate::tokenizer::TEXTUAL_ALARM,
            &text[second..],
        ];
        Ok(words::without_guards(&pieces.concat(), self.special))
    }
}

fn words_contain_a_placeholder(placeholders: &Placeholders) -> Error {
    let [image, video] = placeholders.tokens();
    Error::Input(format!(
        "the words of a message contain {image} or {video}, which stand for vision tokens: take them out, \
         or have special tokens read as words"
    ))
}

/// The media in the order in which the messages show them.
fn order(messages: &[Message], media: usize) -> Result<Vec<usize>> {
    let mut order = Vec::with_capacity(media);
    for part in messages.iter().flat_map(|message| &message.content) {
        if let Part::Media(index) = part {
            if *index >= media {
                return Err(Error::Input(format!(
                    "a message shows medium {index}, but only {media} are given"
                )));
            }
            if order.contains(index) {
                return Err(Error::Input(format!(
                    "medium {index} is shown twice: give it twice"
                )));
            }
            order.push(*index);
        }
    }
    match (0..media).find(|index| !order.contains(index)) {
        None => Ok(order),
        Some(index) => Err(Error::Input(format!(
            "medium {index} is given, but no message shows it"
        ))),
    }
}

/// Finds a message in the rendered text by rendering the conversation up to it.
struct Prefixes<'a> {
    template: &'a Template,
    messages: &'a [Message],
    shown: &'a [Shown],
    rendered: &'a str,
}

impl Prefixes<'_> {
    /// Length in bytes of the first `count` messages in the rendered text.
    fn length(&self, count: usize, ending: Ending) -> Result<usize> {
        let prefix = self
            .template
            .render(&self.messages[..count], self.shown, ending)?;
        if self.rendered.starts_with(&prefix) {
            return Ok(prefix.len());
        }
        Err(Error::Input(format!(
            "the chat template writes the first {count} of {} messages differently when more follow: \
             where a turn begins and ends cannot be told",
            self.messages.len()
        )))
    }
}

/// A turn's text ends with this, and labels with it.
fn end_of_turn(rendered: &str, within: Range<usize>) -> Option<Range<usize>> {
    let start = within.start + rendered[within].rfind(END_OF_TURN)?;
    Some(start..start + END_OF_TURN.len())
}

fn labels(
    tokens: &[Token],
    prefixes: &Prefixes<'_>,
    expansion: &Expansion,
) -> Result<Vec<Option<u32>>> {
    let mut labels = vec![None; tokens.len()];
    for (index, message) in prefixes.messages.iter().enumerate() {
        if message.role != Role::Assistant {
            continue;
        }
        let start = prefixes.length(index, Ending::GenerationPrompt)?;
        let all = start..prefixes.length(index + 1, Ending::LastMessage)?;
        let end = end_of_turn(prefixes.rendered, all.clone()).map_or(all.end, |range| range.end);
        let target = expansion.place(start)..expansion.place(end);
        for (token, label) in tokens.iter().zip(&mut labels) {
            if token.bytes.start < target.end && token.bytes.end > target.start {
                *label = Some(token.id);
            }
        }
    }
    Ok(labels)
}

/// Index of the `<|im_end|>` of the first user turn.
fn end_of_first_user_turn(
    tokens: &[Token],
    prefixes: &Prefixes<'_>,
    expansion: &Expansion,
) -> Result<usize> {
    let first = prefixes
        .messages
        .iter()
        .position(|message| message.role == Role::User)
        .ok_or_else(|| Error::Input("there is no user turn to put alarm tokens in".to_owned()))?;
    let turn = 0..prefixes.length(first + 1, Ending::LastMessage)?;
    end_of_turn(prefixes.rendered, turn)
        .map(|range| expansion.place(range.start))
        .and_then(|start| tokens.iter().position(|token| token.bytes.start == start))
        .ok_or_else(|| {
            Error::Input(format!(
                "the first user turn has no {END_OF_TURN} to put the alarm tokens before"
            ))
        })
}

/// Puts both tokens into the sequence, `end` being the place of the turn's `<|im_end|>`.
fn insert_alarm(
    sequence: &mut Sequence,
    end: usize,
    [visual_id, textual_id]: [u32; 2],
) -> Result<()> {
    let shown = sequence.vision.iter().flatten().map(|run| run.end);
    let visual = shown.filter(|&after| after <= end).max().unwrap_or(end);
    let textual = end + 1;
    for (place, id) in [(visual, visual_id), (textual, textual_id)] {
        if sequence.input_ids.contains(&id) {
            return Err(Error::Input(format!(
                "the words of a message contain an alarm token ({id}): take it out, or have special tokens read as words"
            )));
        }
        sequence.input_ids.insert(place, id);
        if let Some(labels) = &mut sequence.labels {
            labels.insert(place, None);
        }
        for run in sequence.vision.iter_mut().flatten() {
            if run.start >= place {
                *run = run.start + 1..run.end + 1;
            }
        }
    }
    sequence.alarm = Some(AlarmPositions { visual, textual });
    Ok(())
}
