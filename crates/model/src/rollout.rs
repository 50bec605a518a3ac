//! Several continuations of each of several prompts, for reinforcement learning: each prompt is read
//! once for all of them, and rows that ended leave the batch.

// P prompts, R rows still going, S sequence, E width, V vocabulary

use candle_core::{DType, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::decoder::LeftPadding;
use crate::error::{Error, Result};
use crate::generate::{Generated, Generation, Stop, pad_left};
use crate::network::VideoLlama3;
use crate::sampling::next_token;

/// What is to be continued.
#[derive(Clone, Copy, Debug)]
pub struct Rollouts<'a> {
    /// Embeddings `[S, E]` of each prompt.
    pub prompts: &'a [Tensor],
    /// Continuations of each; one at least.
    pub per_prompt: usize,
    /// One for each prompt; continuation `i` draws from its stream `i`.
    pub seeds: &'a [u64],
}

/// A continuation in progress.
struct Row {
    /// Its place among all continuations.
    place: usize,
    /// Where its prompt begins in the padded batch.
    start: usize,
    rng: ChaCha8Rng,
}

impl VideoLlama3 {
    /// For each prompt its continuations; `generation.seed` is not used. What is drawn depends on the
    /// prompt, its seed and the model; on the other prompts only as far as sums round differently.
    ///
    /// # Errors
    /// If there is no prompt, one is empty or longer than the model can read, or seeds are missing.
    pub fn rollouts(
        &self,
        asked: Rollouts<'_>,
        generation: &Generation,
    ) -> Result<Vec<Vec<Generated>>> {
        let Rollouts {
            prompts,
            per_prompt,
            seeds,
        } = asked;
        let lengths = prompts
            .iter()
            .map(|prompt| prompt.dim(0))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let limit = self.config().text.max_position_embeddings;
        if longest == 0 || lengths.contains(&0) || per_prompt == 0 || seeds.len() != prompts.len() {
            return Err(Error::Input(format!(
                "rollouts need prompts that are not empty and a seed for each: there are {} prompts and {} seeds",
                prompts.len(),
                seeds.len()
            )));
        }
        if longest > limit {
            return Err(Error::Input(format!(
                "the prompt has {longest} tokens, the model reads at most {limit}: show fewer frames"
            )));
        }
        let most = generation.max_tokens.min(limit - longest + 1);
        let room = longest + most;
        let starts: Vec<usize> = lengths.iter().map(|length| longest - length).collect();
        let is_padded = starts.iter().any(|&start| start > 0);
        let padding = |starts: Vec<usize>| is_padded.then_some(LeftPadding(starts));

        let mut cache = self.cache(longest);
        let batch = pad_left(prompts, &starts)?; // [P, S, E]
        let hidden = self.hidden(&batch, padding(starts.clone()).as_ref(), Some(&mut cache))?;
        let of_prompt: Vec<u32> = (0..prompts.len() as u32)
            .flat_map(|prompt| std::iter::repeat_n(prompt, per_prompt))
            .collect();
        let mut cache = cache.gathered(&of_prompt, room)?;
        let index = Tensor::new(of_prompt.as_slice(), self.device())?;
        let mut last = last(&hidden)?.index_select(&index, 0)?; // [R, E]
        let mut rows: Vec<Row> = (0..of_prompt.len())
            .map(|place| {
                let mut rng = ChaCha8Rng::seed_from_u64(seeds[place / per_prompt]);
                rng.set_stream((place % per_prompt) as u64);
                Row {
                    place,
                    start: starts[place / per_prompt],
                    rng,
                }
            })
            .collect();
        let nothing = Generated {
            tokens: Vec::new(),
            stop: Stop::Length,
        };
        let mut all = vec![nothing; rows.len()];
        for step in 0..most {
            let logits = self.logits(&last)?.to_dtype(DType::F32)?.to_vec2::<f32>()?; // [R, V]
            let mut next = Vec::with_capacity(rows.len());
            let mut going: Vec<u32> = Vec::with_capacity(rows.len());
            for (index, (row, logits)) in rows.iter_mut().zip(&logits).enumerate() {
                let token = next_token(logits, generation.sampling, &mut row.rng);
                let one = &mut all[row.place];
                one.tokens.push(token);
                if generation.stop_tokens.contains(&token) {
                    one.stop = Stop::Token;
                } else {
                    next.push(token);
                    going.push(index as u32);
                }
            }
            if going.is_empty() || step + 1 == most {
                break;
            }
            if going.len() < rows.len() {
                cache = cache.gathered(&going, room)?;
                let mut index = 0u32;
                rows.retain(|_| {
                    index += 1;
                    going.contains(&(index - 1))
                });
            }
            let starts = padding(rows.iter().map(|row| row.start).collect());
            let embedded = self.embed_next(&next)?;
            last = self::last(&self.hidden(&embedded, starts.as_ref(), Some(&mut cache))?)?;
        }
        let mut all = all.into_iter();
        Ok((0..prompts.len())
            .map(|_| all.by_ref().take(per_prompt).collect())
            .collect())
    }
}

/// The hidden states `[B, E]` of the last positions.
fn last(hidden: &Tensor) -> Result<Tensor> {
    Ok(hidden
        .narrow(1, hidden.dim(1)? - 1, 1)?
        .squeeze(1)?
        .contiguous()?)
}
