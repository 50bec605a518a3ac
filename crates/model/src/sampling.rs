//! The next token from its logits: greedy, or drawn after temperature, top-k and top-p, in the order
//! in which `transformers` applies them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// Only so many of the likeliest tokens; 0 is all.
    pub top_k: usize,
    /// The smallest set of the likeliest tokens whose probability reaches this; 1 is all.
    pub top_p: f64,
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
    };
}

/// Chooses a token from `logits` `[V]`. Greedy takes the first of equals and draws nothing.
pub fn next_token(logits: &[f32], sampling: Sampling, rng: &mut ChaCha8Rng) -> u32 {
    if sampling.temperature <= 0.0 {
        return argmax(logits);
    }
    let likelier = |&a: &u32, &b: &u32| {
        logits[b as usize]
            .total_cmp(&logits[a as usize])
            .then(a.cmp(&b))
    };
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    if (1..order.len()).contains(&sampling.top_k) {
        // A vocabulary has 150,000 tokens: only those that are kept need an order.
        order.select_nth_unstable_by(sampling.top_k - 1, likelier);
        order.truncate(sampling.top_k);
    }
    order.sort_unstable_by(likelier);
    let largest = f64::from(logits[order[0] as usize]);
    let weight =
        |token: u32| ((f64::from(logits[token as usize]) - largest) / sampling.temperature).exp();
    let mut weights: Vec<f64> = order.iter().map(|&token| weight(token)).collect();
    if sampling.top_p < 1.0 {
        let total: f64 = weights.iter().sum();
        let mut reached = 0.0;
        let kept = weights.iter().take_while(|&&weight| {
            let needed = reached < sampling.top_p * total;
            reached += weight;
            needed
        });
        let kept = kept.count().max(1);
        weights.truncate(kept);
    }
    let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
    for (token, weight) in order.iter().zip(&weights) {
        left -= weight;
        if left < 0.0 {
            return *token;
        }
    }
    order[weights.len() - 1]
}

fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const LOGITS: [f32; 4] = [1.0, 3.0, 2.0, 3.0];

    fn draw(sampling: Sampling, seed: u64) -> Vec<u32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..200)
            .map(|_| next_token(&LOGITS, sampling, &mut rng))
            .collect()
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        assert_eq!(draw(Sampling::GREEDY, 0), vec![1; 200]);
    }

    #[test]
    fn one_seed_draws_the_same_tokens() {
        let warm = Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
        };
        assert_eq!(draw(warm, 7), draw(warm, 7));
        assert_ne!(draw(warm, 7), draw(warm, 8));
    }

    #[test]
    fn top_k_keeps_the_likeliest() {
        let drawn = draw(
            Sampling {
                temperature: 5.0,
                top_k: 2,
                top_p: 1.0,
            },
            1,
        );
        assert!(drawn.iter().all(|token| [1, 3].contains(token)));
    }

    #[test]
    fn top_k_beyond_the_vocabulary_keeps_every_token() {
        let keeping = |top_k| Sampling {
            temperature: 2.0,
            top_k,
            top_p: 1.0,
        };
        assert_eq!(draw(keeping(9), 3), draw(keeping(0), 3));
        assert_eq!(draw(keeping(4), 3), draw(keeping(0), 3));
    }

    #[test]
    fn top_k_takes_the_first_of_equals() {
        let drawn = draw(
            Sampling {
                temperature: 5.0,
                top_k: 1,
                top_p: 1.0,
            },
            1,
        );
        assert_eq!(drawn, vec![1; 200]);
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_it() {
        // Probabilities are about 0.40, 0.40, 0.15, 0.05: two reach 0.79.
        let drawn = draw(
            Sampling {
                temperature: 1.0,
                top_k: 0,
                top_p: 0.79,
            },
            1,
        );
        assert!(drawn.iter().all(|token| [1, 3].contains(token)));
        assert!(drawn.contains(&1) && drawn.contains(&3));
    }

    #[test]
    fn every_token_can_be_drawn() {
        let drawn = draw(
            Sampling {
                temperature: 2.0,
                top_k: 0,
                top_p: 1.0,
            },
            1,
        );
        assert!((0..4).all(|token| drawn.contains(&token)));
    }
}
