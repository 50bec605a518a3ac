//! Attention of a packed row: segment by segment, each over its prefix and itself. Where gradients are
//! asked for it is one node on the tape, whose backward pass computes the scores again
//! (arXiv:2205.14135, appendix B, without the tiles).

// S row, H heads, G kv heads, R = H / G, D head width, N queries of a run, T keys of a run

use std::ops::Range;
use std::sync::Arc;

use candle_core::{D, Result, Tensor};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::ATTENTION_BYTES;
use super::block::Projected;
use super::rotary::Angles;
use crate::config::TextConfig;
use crate::ops::{causal_softmax, rope};
use crate::packing::Packing;
use crate::tape::{Given, node3};

/// A packed row as attention sees it, the same for every block.
#[derive(Debug)]
pub(super) struct Segments {
    heads: usize,
    groups: usize,
    width: usize,
    /// `[S, D/2]`.
    angles: Angles,
    /// Their queries make the row, in order.
    runs: Vec<Run>,
}

/// Queries whose scores are computed at once.
#[derive(Debug)]
struct Run {
    /// Where they are in the row.
    queries: Range<usize>,
    /// Where the keys are that they see, those of the queries last: the last query sees all, the one
    /// before all but the last key, and so on.
    keys: Vec<Range<usize>>,
}

/// Queries, keys and values of a row after rotation, `[heads, S, D]`; queries scaled.
struct Turned {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

/// What a run makes of its part of a row.
struct Scored {
    /// `[G, R·N, D]`.
    queries: Tensor,
    /// `[G, T, D]`.
    keys: Tensor,
    /// `[G, T, D]`.
    values: Tensor,
    /// Softmax of the scores, `[G, R·N, T]`.
    weights: Tensor,
}

/// Gradients that a run gives.
struct Pulled {
    /// `[H, N, D]`.
    q: Tensor,
    /// `[G, T, D]`.
    k: Tensor,
    /// `[G, T, D]`.
    v: Tensor,
}

impl Segments {
    /// For a row like `embeddings` `[S, E]`.
    pub(super) fn new(
        config: &TextConfig,
        packing: &Packing,
        embeddings: &Tensor,
    ) -> crate::Result<Self> {
        let place = (embeddings.dtype(), embeddings.device());
        let heads = config.num_attention_heads;
        // Runs are computed side by side, and share what their scores may take.
        let bytes = ATTENTION_BYTES / rayon::current_num_threads().max(1);
        let runs = (0..packing.segments().len())
            .flat_map(|index| runs(packing, index, bytes / (heads * size_of::<f32>())))
            .collect();
        Ok(Self {
            heads,
            groups: config.num_key_value_heads,
            width: config.head_dim,
            angles: Angles::of(config, &packing.positions(), place)?,
            runs,
        })
    }

    /// `[S, H·D]`.
    pub(super) fn attention(self: &Arc<Self>, projected: &Projected) -> Result<Tensor> {
        let Projected { q, k, v } = projected;
        let out = self.forward([&q.detach(), &k.detach(), &v.detach()])?;
        if !(q.track_op() || k.track_op() || v.track_op()) {
            return Ok(out);
        }
        let segments = Arc::clone(self);
        node3([q, k, v], &out, move |inputs, given| {
            segments.backward(inputs, given)
        })
    }

    fn forward(&self, inputs: [&Tensor; 3]) -> Result<Tensor> {
        let turned = self.turn(inputs)?;
        let parts = self.each_run(&turned.q, |run| {
            let scored = self.score(run, &turned)?;
            let out = scored.weights.matmul(&scored.values)?;
            out.reshape((self.heads, run.queries.len(), self.width))
        })?;
        self.join(&Tensor::cat(&parts, 1)?)
    }

    fn backward(&self, inputs: [&Tensor; 3], given: Given<'_>) -> Result<[Option<Tensor>; 3]> {
        let turned = self.turn(inputs)?;
        let rows = turned.q.dim(1)?;
        let upstream = self.split(given.gradient, self.heads)?; // [H, S, D]
        // What softmax's backward pass takes away from each row of scores: Σ weight · gradient, which
        // is Σ output · gradient.
        let level = (given.gradient * given.result)?
            .reshape((rows, self.heads, self.width))?
            .sum(D::Minus1)?
            .t()?
            .contiguous()?; // [H, S]
        let parts = self.each_run(&turned.q, |run| self.pull(run, &turned, &upstream, &level))?;
        let queries: Vec<&Tensor> = parts.iter().map(|part| &part.q).collect();
        let q = (Tensor::cat(&queries, 1)? * self.scale())?;
        let k = self.gather(rows, parts.iter().map(|part| &part.k))?;
        let v = self.gather(rows, parts.iter().map(|part| &part.v))?;
        let back = self.angles.sin.neg()?;
        Ok([
            Some(self.join(&self.rotate(&q, &back)?)?),
            Some(self.join(&self.rotate(&k, &back)?)?),
            Some(self.join(&v)?),
        ])
    }

    fn pull(
        &self,
        run: &Run,
        turned: &Turned,
        upstream: &Tensor,
        level: &Tensor,
    ) -> Result<Pulled> {
        let scored = self.score(run, turned)?;
        let count = run.queries.len();
        let stacked = self.heads / self.groups * count;
        let upstream = upstream.narrow(1, run.queries.start, count)?.reshape((
            self.groups,
            stacked,
            self.width,
        ))?;
        let level =
            level
                .narrow(1, run.queries.start, count)?
                .reshape((self.groups, stacked, 1))?;
        let by_weight = upstream.matmul(&scored.values.t()?)?; // [G, R·N, T]
        let by_score = (by_weight.broadcast_sub(&level)? * &scored.weights)?;
        Ok(Pulled {
            q: by_score
                .matmul(&scored.keys)?
                .reshape((self.heads, count, self.width))?,
            k: by_score.t()?.matmul(&scored.queries)?,
            v: scored.weights.t()?.matmul(&upstream)?,
        })
    }

    fn score(&self, run: &Run, turned: &Turned) -> Result<Scored> {
        let count = run.queries.len();
        let stacked = self.heads / self.groups * count;
        let queries = turned.q.narrow(1, run.queries.start, count)?.reshape((
            self.groups,
            stacked,
            self.width,
        ))?;
        let seen = |x: &Tensor| {
            let parts = run
                .keys
                .iter()
                .map(|keys| x.narrow(1, keys.start, keys.len()))
                .collect::<Result<Vec<_>>>()?;
            Tensor::cat(&parts, 1)?.contiguous()
        };
        let (keys, values) = (seen(&turned.k)?, seen(&turned.v)?);
        let scores = queries.matmul(&keys.t()?)?;
        let total = keys.dim(1)?;
        let scores = scores.reshape((self.heads, count, total))?;
        let weights = causal_softmax(&scores)?.reshape((self.groups, stacked, total))?;
        Ok(Scored {
            queries,
            keys,
            values,
            weights,
        })
    }

    fn turn(&self, [q, k, v]: [&Tensor; 3]) -> Result<Turned> {
        let sin = &self.angles.sin;
        Ok(Turned {
            q: (self.rotate(&self.split(q, self.heads)?, sin)? * self.scale())?,
            k: self.rotate(&self.split(k, self.groups)?, sin)?,
            v: self.split(v, self.groups)?,
        })
    }

    fn scale(&self) -> f64 {
        1.0 / (self.width as f64).sqrt()
    }

    /// `[heads, S, D]`, turned by angles of these sines.
    fn rotate(&self, x: &Tensor, sin: &Tensor) -> Result<Tensor> {
        rope(&x.unsqueeze(0)?, &self.angles.cos, sin)?.squeeze(0)
    }

    /// `[S, heads·D]` to `[heads, S, D]`.
    fn split(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let (rows, _) = x.dims2()?;
        x.reshape((rows, heads, self.width))?
            .transpose(0, 1)?
            .contiguous()
    }

    /// `[heads, S, D]` to `[S, heads·D]`.
    fn join(&self, x: &Tensor) -> Result<Tensor> {
        let (heads, rows, width) = x.dims3()?;
        x.transpose(0, 1)?.reshape((rows, heads * width))
    }

    /// What each run makes, in order. Small products do not fill a processor's cores: its runs do.
    fn each_run<T: Send>(
        &self,
        row: &Tensor,
        make: impl Fn(&Run) -> Result<T> + Sync + Send,
    ) -> Result<Vec<T>> {
        if row.device().is_cpu() && self.runs.len() > 1 {
            self.runs.par_iter().map(make).collect()
        } else {
            self.runs.iter().map(make).collect()
        }
    }

    /// `[G, S, D]`: for each place of the row the sum over the runs that see it. `parts` are `[G, T, D]`
    /// of each run's keys.
    fn gather<'a>(&self, rows: usize, parts: impl Iterator<Item = &'a Tensor>) -> Result<Tensor> {
        let mut cuts: Vec<usize> = self
            .runs
            .iter()
            .flat_map(|run| run.keys.iter().flat_map(|keys| [keys.start, keys.end]))
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        debug_assert_eq!((cuts[0], cuts[cuts.len() - 1]), (0, rows));
        let mut sums: Vec<Option<Tensor>> = vec![None; cuts.len() - 1];
        for (run, part) in self.runs.iter().zip(parts) {
            let mut done = 0;
            for keys in &run.keys {
                let first = cuts.partition_point(|&cut| cut < keys.start);
                let past = cuts.partition_point(|&cut| cut < keys.end);
                for cell in first..past {
                    let length = cuts[cell + 1] - cuts[cell];
                    let piece = part.narrow(1, done, length)?;
                    done += length;
                    sums[cell] = Some(match sums[cell].take() {
                        Some(sum) => (sum + piece)?,
                        None => piece,
                    });
                }
            }
        }
        let sums: Vec<Tensor> = sums.into_iter().flatten().collect();
        Tensor::cat(&sums, 1)
    }
}

/// Segment `index` in as many runs as keep the scores of one head below `scores` numbers.
fn runs(packing: &Packing, index: usize, scores: usize) -> Vec<Run> {
    let mut prefix: Vec<Range<usize>> = Vec::new();
    for part in packing.chain(index) {
        let range = packing.range(part);
        match prefix.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => prefix.push(range),
        }
    }
    let keys: usize = prefix.iter().map(ExactSizeIterator::len).sum();
    let own = packing.range(index);
    let step = (scores / keys).clamp(1, own.len());
    own.clone()
        .step_by(step)
        .map(|start| {
            let queries = start..own.end.min(start + step);
            let mut keys = prefix.clone();
            if let Some(last) = keys.last_mut() {
                last.end = queries.end;
            }
            Run { queries, keys }
        })
        .collect()
}
