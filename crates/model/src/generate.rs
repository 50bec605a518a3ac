//! Text from a prompt: one prefill, then a token at a time over the key-value cache, for one prompt
//! or a batch of them.

// B batch, S sequence, E width, V vocabulary

use candle_core::{DType, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::decoder::LeftPadding;
use crate::error::{Error, Result};
use crate::network::VideoLlama3;
use crate::sampling::{Sampling, next_token};

/// How text is generated.
#[derive(Clone, Debug)]
pub struct Generation {
    /// At most so many tokens.
    pub max_tokens: usize,
    /// How each is chosen.
    pub sampling: Sampling,
    /// Of the draws; row `i` of a batch draws from stream `i` of this seed.
    pub seed: u64,
    /// Generation of a row ends with one of these.
    pub stop_tokens: Vec<u32>,
}

/// Why a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A stop token came; it is the last of the tokens.
    Token,
    /// The limit was reached.
    Length,
    /// The caller had enough.
    Caller,
}

/// One generated row.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The tokens, a stop token included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: Stop,
}

/// Whether to go on after a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Generate the next token.
    Continue,
    /// End all rows here.
    Stop,
}

impl VideoLlama3 {
    /// Continues each prompt, given as its embeddings `[S, E]`. `on_token` hears of every token with
    /// its row as it comes.
    ///
    /// # Errors
    /// If there is no prompt, or one is empty or longer than the model can read.
    pub fn generate(
        &self,
        prompts: &[Tensor],
        generation: &Generation,
        on_token: &mut dyn FnMut(usize, u32) -> Flow,
    ) -> Result<Vec<Generated>> {
        let lengths = prompts
            .iter()
            .map(|prompt| prompt.dim(0))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        if longest == 0 || lengths.contains(&0) {
            return Err(Error::Input(
                "there is nothing to continue: the prompt is empty".to_owned(),
            ));
        }
        let limit = self.config().text.max_position_embeddings;
        if longest > limit {
            return Err(Error::Input(format!(
                "the prompt has {longest} tokens, the model reads at most {limit}: show fewer frames"
            )));
        }
        let padding: Vec<usize> = lengths.iter().map(|length| longest - length).collect();
        let batch = pad_left(prompts, &padding)?; // [B, S, E]
        let padding = padding
            .iter()
            .any(|&pad| pad > 0)
            .then(|| LeftPadding(padding.clone()));

        let mut rngs: Vec<ChaCha8Rng> = (0..prompts.len() as u64)
            .map(|row| {
                let mut rng = ChaCha8Rng::seed_from_u64(generation.seed);
                rng.set_stream(row);
                rng
            })
            .collect();
        let mut rows = vec![
            Generated {
                tokens: Vec::new(),
                stop: Stop::Length
            };
            prompts.len()
        ];
        let mut cache = self.cache(longest + generation.max_tokens.min(limit - longest));
        let mut hidden = self.hidden(&batch, padding.as_ref(), Some(&mut cache))?;
        let mut done = vec![false; prompts.len()];
        for step in 0..generation.max_tokens.min(limit - longest + 1) {
            let last = hidden.narrow(1, hidden.dim(1)? - 1, 1)?.squeeze(1)?;
            let logits = self.logits(&last)?.to_dtype(DType::F32)?.to_vec2::<f32>()?; // [B, V]
            let mut next = vec![0u32; prompts.len()];
            for (row, logits) in logits.iter().enumerate() {
                if done[row] {
                    continue;
                }
                let token = next_token(logits, generation.sampling, &mut rngs[row]);
                next[row] = token;
                rows[row].tokens.push(token);
                if generation.stop_tokens.contains(&token) {
                    done[row] = true;
                    rows[row].stop = Stop::Token;
                }
                if on_token(row, token) == Flow::Stop {
                    stop_all(&mut rows, &done);
                    return Ok(rows);
                }
            }
            if done.iter().all(|&done| done) || step + 1 == generation.max_tokens {
                break;
            }
            hidden = self.hidden(&self.embed_next(&next)?, padding.as_ref(), Some(&mut cache))?;
        }
        Ok(rows)
    }
}

fn stop_all(rows: &mut [Generated], done: &[bool]) {
    for (row, done) in rows.iter_mut().zip(done) {
        if !done {
            row.stop = Stop::Caller;
        }
    }
}

/// `[B, longest, E]`, zeros before the shorter prompts.
pub(crate) fn pad_left(prompts: &[Tensor], padding: &[usize]) -> Result<Tensor> {
    let rows = prompts
        .iter()
        .zip(padding)
        .map(|(prompt, &pad)| prompt.pad_with_zeros(0, pad, 0))
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::stack(&rows, 0)?)
}
