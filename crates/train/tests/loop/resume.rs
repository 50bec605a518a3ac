//! A run that was interrupted, at any moment, ends with the bytes of one that was not.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::toy::{Toy, files, go_on, recipe, train, train_by};
use train::checkpoint::Artifacts;
use train::recipe::Training;
use train::rounds::Plain;
use train::run::Ended;
use train::step::{Item, Loss, Micro, Objective};
use train::{BoxError, Error};

const SAMPLES: usize = 17;
/// Three of two micro-batches an epoch, two epochs.
const STEPS: usize = 6;

fn uninterrupted() -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy::new(SAMPLES);
    let ended = train(folder.path(), &recipe(), &toy, &toy, &mut go_on).unwrap();
    assert_eq!(
        ended,
        Ended::Complete {
            checkpoint: folder.path().join("checkpoint-6")
        }
    );
    files(folder.path())
}

fn finish(folder: &Path) {
    let toy = Toy::new(SAMPLES);
    train(folder, &recipe(), &toy, &toy, &mut go_on).unwrap();
}

#[track_caller]
fn same(found: &BTreeMap<String, Vec<u8>>, want: &BTreeMap<String, Vec<u8>>) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(want));
    for (name, bytes) in found {
        assert_eq!(
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&want[name]),
            "{name}"
        );
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    same(&uninterrupted(), &uninterrupted());
}

#[test]
fn a_run_changes_the_weights_and_lowers_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (toy, recipe) = (
        Toy::new(SAMPLES),
        Training {
            length: train::recipe::Length::Steps(40),
            ..recipe()
        },
    );
    let mut losses = Vec::new();
    let mut note = |progress: &train::run::Progress<'_>| {
        losses.push(progress.step.loss);
        ControlFlow::Continue(())
    };
    train(folder.path(), &recipe, &toy, &toy, &mut note).unwrap();
    assert!(losses[39] < 0.8 * losses[0], "{losses:?}");
}

#[test]
fn a_run_stopped_after_any_step_ends_the_same() {
    let want = uninterrupted();
    for stop in 1..STEPS {
        let folder = tempfile::tempdir().unwrap();
        let toy = Toy::new(SAMPLES);
        let mut until = |progress: &train::run::Progress<'_>| match progress.step.step == stop {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let ended = train(folder.path(), &recipe(), &toy, &toy, &mut until).unwrap();
        assert_eq!(ended, Ended::Stopped { step: stop });
        assert!(folder.path().join(format!("checkpoint-{stop}")).is_dir());
        finish(folder.path());
        same(&files(folder.path()), &want);
    }
}

#[test]
fn a_finished_run_that_is_started_again_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    finish(folder.path());
    finish(folder.path());
    same(&files(folder.path()), &uninterrupted());
}

#[test]
fn a_second_process_in_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (toy, second) = (Toy::new(SAMPLES), Toy::new(SAMPLES));
    let mut errors = Vec::new();
    let mut intrude = |_: &train::run::Progress<'_>| {
        errors.push(train(folder.path(), &recipe(), &second, &second, &mut go_on).unwrap_err());
        ControlFlow::Break(())
    };
    train(folder.path(), &recipe(), &toy, &toy, &mut intrude).unwrap();
    assert!(matches!(errors[0], Error::Busy { .. }), "{}", errors[0]);
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy {
        workers: 2.try_into().unwrap(),
        ..Toy::new(SAMPLES)
    };
    train(folder.path(), &recipe(), &toy, &toy, &mut go_on).unwrap();
    same(&files(folder.path()), &uninterrupted());
}

/// Dies in the middle of things, as by `kill -9`: nothing is unwound or flushed.
struct Mortal {
    toy: Toy,
    losses_left: AtomicUsize,
    saves_left: AtomicUsize,
}

impl Mortal {
    fn count_down(left: &AtomicUsize) -> bool {
        left.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

impl Objective for Mortal {
    fn items(&self) -> &[Item] {
        self.toy.items()
    }

    fn loss(&self, batch: &[usize], micro: Micro) -> Result<Loss, BoxError> {
        if Self::count_down(&self.losses_left) {
            std::process::abort();
        }
        self.toy.loss(batch, micro)
    }
}

impl Artifacts for Mortal {
    fn save(&self, folder: &Path) -> Result<(), BoxError> {
        if Self::count_down(&self.saves_left) {
            std::fs::write(folder.join("model.safetensors"), "half a fi")?;
            std::process::abort();
        }
        self.toy.save(folder)
    }

    fn load(&self, folder: &Path) -> Result<(), BoxError> {
        self.toy.load(folder)
    }
}

const VICTIM: &str = "TRAIN_TEST_VICTIM";

#[test]
#[ignore = "the tests below start it in a process of its own and it kills itself"]
fn victim() {
    let order = std::env::var(VICTIM).expect("folder, losses and saves until death");
    let [folder, losses, saves] = order.split('|').collect::<Vec<_>>()[..] else {
        panic!("{order}");
    };
    let mortal = Mortal {
        toy: Toy::new(SAMPLES),
        losses_left: AtomicUsize::new(losses.parse().unwrap()),
        saves_left: AtomicUsize::new(saves.parse().unwrap()),
    };
    let folder = Path::new(folder);
    let (rounds, toy) = (Plain(&mortal), &mortal.toy);
    train_by(folder, &recipe(), &rounds, (toy, &mortal), &mut go_on).unwrap();
}

fn kill(folder: &Path, losses: usize, saves: usize) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["resume::victim", "--exact", "--ignored", "--nocapture"])
        .env(VICTIM, format!("{}|{losses}|{saves}", folder.display()))
        .output()
        .unwrap()
        .status;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(6),
        "{status}"
    );
}

#[test]
fn a_run_killed_in_any_micro_batch_ends_the_same() {
    let want = uninterrupted();
    for micro_batch in 1..=2 * STEPS {
        let folder = tempfile::tempdir().unwrap();
        kill(folder.path(), micro_batch, 0);
        finish(folder.path());
        same(&files(folder.path()), &want);
    }
}

#[test]
fn a_run_killed_while_it_writes_any_checkpoint_ends_the_same() {
    let want = uninterrupted();
    for save in 1..=STEPS / 2 {
        let folder = tempfile::tempdir().unwrap();
        kill(folder.path(), 0, save);
        finish(folder.path());
        same(&files(folder.path()), &want);
    }
}

#[test]
fn a_run_killed_again_and_again_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        kill(folder.path(), 0, 2);
        kill(folder.path(), 3, 0);
        std::fs::remove_dir_all(folder.path().join("checkpoint-4")).ok();
    }
    finish(folder.path());
    same(&files(folder.path()), &uninterrupted());
}

#[test]
fn a_checkpoint_that_lost_a_byte_is_not_resumed_from() {
    let folder = tempfile::tempdir().unwrap();
    finish(folder.path());
    let weights = folder.path().join("checkpoint-6/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[1..]).unwrap();
    finish(folder.path());
    same(&files(folder.path()), &uninterrupted());
}

#[track_caller]
fn refused(recipe: &Training, samples: usize, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    finish(folder.path());
    let toy = Toy::new(samples);
    let error = train(folder.path(), recipe, &toy, &toy, &mut go_on).unwrap_err();
    assert!(matches!(error, Error::OtherRun { .. }), "{error}");
    let said = error.to_string();
    for word in words {
        assert!(said.contains(word), "{said:?} lacks {word:?}");
    }
}

#[test]
fn going_on_with_another_recipe_is_refused_by_key() {
    let other = Training {
        seed: 4,
        clip: 1.0,
        ..recipe()
    };
    refused(&other, SAMPLES, &["seed: 3 → 4", "clip: 0.5 → 1.0"]);
}

#[test]
fn going_on_with_other_data_is_refused() {
    refused(&recipe(), SAMPLES + 1, &["the training samples"]);
}

#[test]
fn going_on_with_other_labels_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    finish(folder.path());
    let mut toy = Toy::new(SAMPLES);
    toy.items[3].labels.visual = Some(safety::SafetyLabel::Harmful);
    let error = train(folder.path(), &recipe(), &toy, &toy, &mut go_on).unwrap_err();
    assert!(matches!(error, Error::OtherRun { .. }), "{error}");
}
