//! What one optimizer step does: accumulation is a big batch, and nothing that is not finite passes.

use crate::toy::{Toy, go_on, recipe, train};
use candle_core::Tensor;
use train::order::Batch;
use train::recipe::{Length, Training};
use train::step::{Item, Loss, Micro, Objective};
use train::{BoxError, Error};

/// Weights after one pass over 12 samples of unlike lengths, all in one optimizer step.
fn after_one_step(batch: usize, accumulation: usize) -> Toy {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(12);
    let recipe = Training {
        length: Length::Epochs(1),
        batch: Batch::samples(batch),
        accumulation,
        warmup: train::recipe::Warmup::Steps(0),
        window: 1,
        ..recipe()
    };
    let mut steps = 0;
    let mut count = |_: &train::run::Progress<'_>| {
        steps += 1;
        std::ops::ControlFlow::Continue(())
    };
    train(folder.path(), &recipe, &toy, &toy, &mut count).unwrap();
    assert_eq!(steps, 1);
    toy
}

#[test]
fn accumulated_micro_batches_are_one_big_batch() {
    let big = after_one_step(12, 1);
    for (batch, accumulation) in [(6, 2), (5, 3), (1, 12)] {
        let small = after_one_step(batch, accumulation);
        for (name, parameter) in &big.parameters {
            let values = |v: &Tensor| v.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let pairs = values(parameter)
                .into_iter()
                .zip(values(&small.parameters[name]));
            for (a, b) in pairs {
                assert!((a - b).abs() <= 1e-6, "{name} {a} {b}");
            }
        }
    }
}

/// The toy's loss, spoiled in micro-batches that hold sample 5.
struct Spoiled {
    toy: Toy,
    how: fn(Tensor) -> candle_core::Result<Tensor>,
}

impl Objective for Spoiled {
    fn items(&self) -> &[Item] {
        self.toy.items()
    }

    fn loss(&self, batch: &[usize], micro: Micro) -> Result<Loss, BoxError> {
        let loss = self.toy.loss(batch, micro)?;
        let total = if batch.contains(&5) {
            (self.how)(loss.total)?
        } else {
            loss.total
        };
        Ok(Loss { total, ..loss })
    }
}

/// Runs to the failure and sees that the weights are still those of the checkpoint before it.
#[track_caller]
fn failure(how: fn(Tensor) -> candle_core::Result<Tensor>) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let spoiled = Spoiled {
        toy: Toy::new(12),
        how,
    };
    let recipe = Training {
        window: 1,
        checkpoint_every: 1,
        accumulation: 1,
        keep: 99,
        ..recipe()
    };
    let error = train(folder.path(), &recipe, &spoiled, &spoiled.toy, &mut go_on).unwrap_err();
    let stopped = spoiled.toy.bytes();
    let step = match &error {
        Error::NonFiniteLoss { step, .. }
        | Error::NonFiniteGradient { step, .. }
        | Error::Objective { step, .. } => *step,
        other => panic!("{other}"),
    };
    assert!(
        step > 1,
        "the order of the toy's samples puts sample 5 later than in the first step"
    );
    let before = folder.path().join(format!("checkpoint-{}", step - 1));
    train::checkpoint::Artifacts::load(&spoiled.toy, &before).unwrap();
    assert_eq!(stopped, spoiled.toy.bytes());
    error
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_before_the_step_and_names_the_samples() {
    let error = failure(|loss| loss * f64::NAN);
    let said = error.to_string();
    assert!(
        matches!(error, Error::NonFiniteLoss { .. }) && said.contains("sample-5"),
        "{said}"
    );
}

#[test]
fn an_infinite_loss_stops_the_run() {
    assert!(matches!(
        failure(|loss| loss * f64::INFINITY),
        Error::NonFiniteLoss { .. }
    ));
}

#[test]
fn a_gradient_that_is_not_finite_stops_the_run_before_the_step_and_names_parameter_and_samples() {
    // The root of zero: the value is fine, its slope is not.
    let error = failure(|loss| &loss + (&loss - loss.detach())?.sqrt()?);
    let said = error.to_string();
    assert!(matches!(error, Error::NonFiniteGradient { .. }), "{said}");
    assert!(
        said.contains("`embed.weight`") && said.contains("sample-5"),
        "{said}"
    );
}

#[test]
fn a_loss_that_cannot_be_computed_names_the_samples() {
    let said = failure(|_| candle_core::bail!("no video")).to_string();
    assert!(said.contains("sample-5"), "{said}");
}

#[test]
fn a_recipe_that_freezes_a_trainable_parameter_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(3);
    let recipe = Training {
        frozen: vec![train::groups::Pattern("embed.*".into())],
        ..recipe()
    };
    let error = train(folder.path(), &recipe, &toy, &toy, &mut go_on)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`embed.weight`"), "{error}");
}

#[test]
fn a_run_without_samples_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(0);
    let error = train(folder.path(), &recipe(), &toy, &toy, &mut go_on).unwrap_err();
    assert!(matches!(error, Error::NoSamples { .. }), "{error}");
}
