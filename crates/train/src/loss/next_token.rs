//! Masked next-token cross-entropy over the vocabulary, straight from hidden states: logits exist
//! only where there is a target.
//!
//! B batch, S sequence, E width, V vocabulary.

use candle_core::{DType, Result, Tensor};

use super::cross_entropy::cross_entropy;

/// Where the hidden states have something to predict, and what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Rows of the hidden states flattened to `[B·S, E]`.
    rows: Vec<u32>,
    /// The token that each of these rows should predict.
    tokens: Vec<u32>,
}

impl Targets {
    /// For sequences right-padded to `padded` tokens: position `i` predicts the label of `i + 1`.
    /// A label of `None` (prompt, vision, padding) is no target; nor is the first of a sequence.
    pub fn next<L: AsRef<[Option<u32>]>>(labels: &[L], padded: usize) -> Self {
        let mut targets = Self::default();
        for (sequence, labels) in labels.iter().enumerate() {
            for (position, label) in labels.as_ref().iter().enumerate().skip(1) {
                if let Some(token) = label {
                    targets.rows.push((sequence * padded + position - 1) as u32);
                    targets.tokens.push(*token);
                }
            }
        }
        targets
    }

    /// For sequences that stand in one row, each from its first index on.
    pub fn packed<'l>(sequences: impl IntoIterator<Item = (usize, &'l [Option<u32>])>) -> Self {
        let mut targets = Self::default();
        for (start, labels) in sequences {
            for (position, label) in labels.iter().enumerate().skip(1) {
                if let Some(token) = label {
                    targets.rows.push((start + position - 1) as u32);
                    targets.tokens.push(*token);
                }
            }
        }
        targets
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is nothing to predict.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// How many targets [`Targets::next`] finds in one sequence.
pub fn target_count(labels: &[Option<u32>]) -> usize {
    labels.iter().skip(1).flatten().count()
}

/// The sum over targets of `-log softmax(hidden · headᵀ)[token]`, divided by `divisor`: a scalar with
/// gradients for both arguments. `hidden` is `[B, S, E]`, `head` is `[V, E]`.
///
/// `divisor` is the number of targets of the whole optimizer step; with the number of this batch it is
/// the mean of `torch.nn.functional.cross_entropy`. Without targets the loss is 0, and of no parameter.
pub fn next_token(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Targets,
    divisor: f64,
) -> Result<Tensor> {
    let (b, s, e) = hidden.dims3()?;
    let flat = hidden.reshape((b * s, e))?;
    if targets.is_empty() {
        return Tensor::zeros((), DType::F32, hidden.device());
    }
    let rows = Tensor::new(targets.rows.as_slice(), hidden.device())?;
    let chosen = flat.index_select(&rows, 0)?;
    cross_entropy(&chosen, head, &targets.tokens, 1.0 / divisor)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::loss::tests::var;

    fn targets() -> Targets {
        let first = vec![None, None, Some(3), Some(1), None];
        let second = vec![None, Some(0), None];
        Targets::next(&[first, second], 5)
    }

    #[test]
    fn a_position_predicts_the_next_label() {
        assert_eq!(
            targets(),
            Targets {
                rows: vec![1, 2, 5],
                tokens: vec![3, 1, 0]
            }
        );
    }

    #[test]
    fn the_label_of_the_first_token_is_nobodys_target() {
        assert!(Targets::next(&[vec![Some(1), None]], 2).is_empty());
        assert_eq!(target_count(&[Some(1), None, Some(2)]), 1);
    }

    #[test]
    fn rows_without_a_target_get_no_gradient() {
        let (hidden, head) = (var(&[2, 5, 4], 0.3), var(&[6, 4], 7.0));
        let loss = next_token(&hidden, &head, &targets(), 3.0).unwrap();
        let gradient = loss
            .backward()
            .unwrap()
            .get(&hidden)
            .unwrap()
            .reshape((10, 4))
            .unwrap();
        for (row, values) in gradient.to_vec2::<f32>().unwrap().iter().enumerate() {
            assert_eq!(
                values.iter().any(|&x| x != 0.0),
                [1, 2, 5].contains(&row),
                "row {row}"
            );
        }
    }

    #[test]
    fn logits_of_a_thousand_neither_overflow_nor_vanish() {
        let head = Var::new(&[[1f32], [-1.0]], &Device::Cpu).unwrap();
        let hidden = Var::new(&[[[1000f32], [0.0]]], &Device::Cpu).unwrap();
        for (token, want) in [(0, 0.0), (1, 2000.0)] {
            let targets = Targets::next(&[vec![None, Some(token)]], 2);
            let loss = next_token(&hidden, &head, &targets, 1.0).unwrap();
            assert_eq!(loss.to_scalar::<f32>().unwrap(), want);
        }
    }

    #[test]
    fn a_nan_in_the_hidden_states_is_a_nan_in_the_loss() {
        let head = Var::new(&[[1f32], [-1.0]], &Device::Cpu).unwrap();
        let hidden = Var::new(&[[[f32::NAN], [0.0]]], &Device::Cpu).unwrap();
        let targets = Targets::next(&[vec![None, Some(0)]], 2);
        let loss = next_token(&hidden, &head, &targets, 1.0).unwrap();
        assert!(loss.to_scalar::<f32>().unwrap().is_nan());
    }

    #[test]
    fn a_batch_without_targets_has_loss_zero() {
        let (hidden, head) = (var(&[1, 2, 4], 0.3), var(&[6, 4], 7.0));
        let loss = next_token(&hidden, &head, &Targets::default(), 1.0).unwrap();
        assert_eq!(loss.to_scalar::<f32>().unwrap(), 0.0);
        assert!(loss.backward().unwrap().get(&hidden).is_none());
    }

    #[test]
    fn a_target_outside_of_the_vocabulary_is_refused() {
        let (hidden, head) = (var(&[1, 2, 4], 0.3), var(&[6, 4], 7.0));
        let targets = Targets::next(&[vec![None, Some(6)]], 2);
        let error = next_token(&hidden, &head, &targets, 1.0)
            .unwrap_err()
            .to_string();
        assert!(error.contains("token 6"), "{error}");
    }
}
