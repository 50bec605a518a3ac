//! Alarm token classification (arXiv 2505.16643, section 4.1): binary cross-entropy of an alarm
//! head's logits, 1 harmful.

use candle_core::{DType, Result, Tensor, bail};
use safety::SafetyLabel;

use super::softplus::softplus;

/// The loss of one modality over one micro-batch.
#[derive(Debug)]
pub struct Atc {
    /// A scalar in f32; 0, and of no parameter, if no sample has a label.
    pub loss: Tensor,
    /// Samples that the loss is about.
    pub labelled: usize,
    /// Samples without a label: no part of the loss.
    pub unlabelled: usize,
    /// Labelled samples whose logit has the right sign; 0 counts as safe.
    pub correct: usize,
}

/// The sum over labelled samples of `softplus(x) − x·y`, divided by `divisor`: the number of labelled
/// samples of the whole optimizer step. `logits` is `[N]`, with a label for each, where there is one.
///
/// With the number of this batch it is `torch.nn.functional.binary_cross_entropy_with_logits`.
pub fn atc(logits: &Tensor, labels: &[Option<SafetyLabel>], divisor: f64) -> Result<Atc> {
    let n = logits.dims1()?;
    if labels.len() != n {
        bail!("{n} alarm logits for {} labels", labels.len());
    }
    let (rows, targets): (Vec<u32>, Vec<f32>) = labels
        .iter()
        .enumerate()
        .filter_map(|(i, label)| label.map(|label| (i as u32, f32::from(u8::from(label)))))
        .unzip();
    let device = logits.device();
    if rows.is_empty() {
        return Ok(Atc {
            loss: Tensor::zeros((), DType::F32, device)?,
            labelled: 0,
            unlabelled: n,
            correct: 0,
        });
    }
    let chosen = logits
        .index_select(&Tensor::new(rows.as_slice(), device)?, 0)?
        .to_dtype(DType::F32)?;
    let values = chosen.to_vec1::<f32>()?;
    let correct = values
        .iter()
        .zip(&targets)
        .filter(|(x, y)| (**x > 0.0) == (**y > 0.5));
    let correct = correct.count();
    let targets = Tensor::new(targets.as_slice(), device)?;
    let losses = (softplus(&chosen)? - (&chosen * targets)?)?;
    Ok(Atc {
        loss: (losses.sum_all()? / divisor)?,
        labelled: rows.len(),
        unlabelled: n - rows.len(),
        correct,
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use safety::SafetyLabel::{Harmful, Safe};

    use super::*;

    fn gradient(logits: &[f32], labels: &[Option<SafetyLabel>]) -> (f32, Vec<f32>) {
        let logits = Var::new(logits, &Device::Cpu).unwrap();
        let loss = atc(&logits, labels, 1.0).unwrap().loss;
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&logits).unwrap().to_vec1().unwrap();
        (loss.to_scalar().unwrap(), gradient)
    }

    #[test]
    fn a_head_that_starts_at_zero_has_a_slope() {
        let (loss, gradient) = gradient(&[0.0, 0.0], &[Some(Harmful), Some(Safe)]);
        assert!((loss - 2.0 * std::f32::consts::LN_2).abs() < 1e-6);
        assert_eq!(gradient, [-0.5, 0.5]);
    }

    #[test]
    fn confident_logits_are_finite() {
        let labels = [Some(Harmful), Some(Safe), Some(Safe), Some(Harmful)];
        let (loss, gradient) = gradient(&[1e4, -1e4, 1e4, -1e4], &labels);
        assert_eq!(loss, 2e4);
        assert_eq!(gradient, [0.0, 0.0, 1.0, -1.0]);
    }

    #[test]
    fn a_sample_without_a_label_is_counted_and_has_no_gradient() {
        let logits = Var::new(&[0.3f32, 2.0], &Device::Cpu).unwrap();
        let found = atc(&logits, &[None, Some(Safe)], 1.0).unwrap();
        assert_eq!((found.labelled, found.unlabelled, found.correct), (1, 1, 0));
        let gradients = found.loss.backward().unwrap();
        assert_eq!(
            gradients.get(&logits).unwrap().to_vec1::<f32>().unwrap()[0],
            0.0
        );
    }

    #[test]
    fn without_labels_the_loss_is_zero() {
        let logits = Var::new(&[0.3f32], &Device::Cpu).unwrap();
        let found = atc(&logits, &[None], 0.0).unwrap();
        assert_eq!(found.loss.to_scalar::<f32>().unwrap(), 0.0);
        assert!(found.loss.backward().unwrap().get(&logits).is_none());
    }

    #[test]
    fn a_nan_is_a_nan() {
        assert!(gradient(&[f32::NAN], &[Some(Safe)]).0.is_nan());
    }

    #[test]
    fn micro_batches_add_up() {
        let labels = [Some(Harmful), None, Some(Safe), Some(Harmful)];
        let logits = Tensor::new(&[0.3f32, -1.0, 2.0, -4.0], &Device::Cpu).unwrap();
        let part = |start, length| {
            let logits = logits.narrow(0, start, length).unwrap();
            let found = atc(&logits, &labels[start..start + length], 3.0).unwrap();
            found.loss.to_scalar::<f32>().unwrap()
        };
        assert!((part(0, 4) - part(0, 2) - part(2, 2)).abs() < 1e-6);
    }
}
