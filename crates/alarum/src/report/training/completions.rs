//! What the model wrote on the way, out of `rollouts.jsonl`: a few prompts, each followed over the steps in
//! which it came.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Stage;

/// Prompts that are followed.
const PROMPTS: usize = 4;
/// Steps of a prompt that are shown.
const STEPS: usize = 6;
/// Bytes of the longest line that is read.
const LONGEST: u64 = 16 << 20;

/// What is shown of a stage's rollouts.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    pub(crate) prompts: Vec<Prompt>,
    /// Rollouts in the file.
    pub(crate) rollouts: usize,
    /// Whole lines that are no rollouts, left out.
    pub(crate) unreadable: usize,
}

/// One prompt.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) id: String,
    /// Each step in which it came, with the mean reward of its rollouts there.
    pub(crate) course: Vec<(usize, f64)>,
    /// Some of these steps: the first, the last, and some between.
    pub(crate) shown: Vec<Group>,
}

/// The rollouts of a prompt in one step, and the first of them.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) step: usize,
    pub(crate) mean_reward: f64,
    pub(crate) size: usize,
    pub(crate) first: Rollout,
}

/// One line, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) step: usize,
    pub(crate) prompt: String,
    pub(crate) index: usize,
    pub(crate) text: String,
    pub(crate) tokens: usize,
    pub(crate) finish: String,
    pub(crate) rewards: BTreeMap<String, f64>,
    pub(crate) reward: f64,
}

/// Where a prompt came: sum of rewards and rollouts of each step.
type Course = BTreeMap<usize, (f64, usize)>;

/// Follows a few prompts of a stage, chosen evenly among those that came most often so that nothing
/// about their rewards decides. The file is read twice and never held.
///
/// # Errors
/// If the file is there and cannot be read.
pub(crate) fn followed(stage: &Stage) -> Result<Followed> {
    let path = stage.folder.join("rollouts.jsonl");
    let mut followed = Followed::default();
    if !path.is_file() {
        return Ok(followed);
    }
    let last = stage.steps.last().map_or(0, |step| step.step);
    let mut courses = BTreeMap::<String, Course>::new();
    let mut unreadable = 0;
    each(&path, |rollout| match rollout {
        // A step that the journal does not have will happen again.
        Some(rollout) if rollout.step > last => {}
        Some(rollout) => {
            let (sum, count) = courses
                .entry(rollout.prompt)
                .or_default()
                .entry(rollout.step)
                .or_default();
            *sum += rollout.reward;
            *count += 1;
        }
        None => unreadable += 1,
    })?;
    followed.unreadable = unreadable;
    followed.rollouts = courses
        .values()
        .flat_map(Course::values)
        .map(|(_, count)| count)
        .sum();

    let most = courses.values().map(Course::len).max().unwrap_or(0);
    let often: Vec<(&String, &Course)> = courses
        .iter()
        .filter(|(_, course)| course.len() == most)
        .collect();
    let mut wanted = BTreeMap::<(usize, String), Option<Rollout>>::new();
    let chosen: Vec<(&String, &Course)> = evenly(often.len(), PROMPTS).map(|i| often[i]).collect();
    for (id, course) in &chosen {
        let steps: Vec<usize> = course.keys().copied().collect();
        wanted.extend(evenly(steps.len(), STEPS).map(|i| ((steps[i], (*id).clone()), None)));
    }
    each(&path, |rollout| {
        if let Some(rollout) = rollout
            && rollout.index == 0
            && let Some(place) = wanted.get_mut(&(rollout.step, rollout.prompt.clone()))
        {
            *place = Some(rollout);
        }
    })?;
    let prompt = |(id, course): &(&String, &Course)| {
        let group = |(step, (sum, size)): (&usize, &(f64, usize))| {
            let first = wanted.get(&(*step, (*id).clone()))?.clone()?;
            Some(Group {
                step: *step,
                mean_reward: sum / *size as f64,
                size: *size,
                first,
            })
        };
        Prompt {
            id: (*id).clone(),
            course: course
                .iter()
                .map(|(step, (sum, size))| (*step, sum / *size as f64))
                .collect(),
            shown: course.iter().filter_map(group).collect(),
        }
    };
    followed.prompts = chosen.iter().map(prompt).collect();
    // Prompts that came once each are one story: in the order of the steps.
    followed
        .prompts
        .sort_by_key(|prompt| prompt.course.first().map(|(step, _)| *step));
    Ok(followed)
}

/// Up to `few` of `many` places, the first and the last among them, evenly between.
fn evenly(many: usize, few: usize) -> impl Iterator<Item = usize> {
    let few = few.min(many);
    (0..few).map(move |i| {
        if few < 2 {
            0
        } else {
            (i * (many - 1) + (few - 1) / 2) / (few - 1)
        }
    })
}

/// Calls `take` with each whole line: a rollout, or nothing if it is none.
fn each(path: &Path, mut take: impl FnMut(Option<Rollout>)) -> Result<()> {
    let read = || format!("cannot read {}", path.display());
    let mut lines = BufReader::new(File::open(path).with_context(read)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut lines)
            .take(LONGEST)
            .read_until(b'\n', &mut line)
            .with_context(read)?;
        match (line.is_empty(), line.ends_with(b"\n")) {
            (true, _) => return Ok(()),
            (_, true) => take(serde_json::from_slice(&line).ok()),
            // The rest of a line that is too long, or the last line, still being written.
            (_, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::training::{stage::stages, world};

    fn of(folder: &Path) -> Followed {
        followed(&stages(folder).unwrap()[0]).unwrap()
    }

    #[test]
    fn prompts_that_come_again_are_followed_from_first_to_last() {
        let folder = tempfile::tempdir().unwrap();
        world::policy(folder.path(), 60);
        let followed = of(folder.path());
        assert_eq!(followed.prompts.len(), PROMPTS);
        assert_eq!((followed.unreadable, followed.rollouts), (0, 60 * 2 * 4));
        for prompt in &followed.prompts {
            assert_eq!(prompt.course.len(), 12, "{}", prompt.id);
            assert_eq!(prompt.shown.len(), STEPS);
            let ends = [&prompt.shown[0], &prompt.shown[STEPS - 1]].map(|group| group.step);
            assert_eq!(ends, [prompt.course[0].0, prompt.course[11].0]);
        }
    }

    #[test]
    fn a_torn_last_line_and_a_bad_one_lose_only_themselves() {
        let folder = tempfile::tempdir().unwrap();
        world::policy(folder.path(), 10);
        let path = folder.path().join("rollouts.jsonl");
        let mut text = String::from("no rollout\n") + &std::fs::read_to_string(&path).unwrap();
        text.truncate(text.len() - 20);
        std::fs::write(&path, text).unwrap();
        let followed = of(folder.path());
        assert_eq!(
            (followed.unreadable, followed.rollouts),
            (1, 10 * 2 * 4 - 1)
        );
    }

    #[test]
    fn a_stage_without_rollouts_shows_none() {
        let folder = tempfile::tempdir().unwrap();
        world::supervised(folder.path(), 3);
        assert_eq!(of(folder.path()).prompts.len(), 0);
    }

    #[test]
    fn places_are_even_and_hold_both_ends() {
        let of = |many, few| evenly(many, few).collect::<Vec<_>>();
        assert_eq!(of(10, 4), [0, 3, 6, 9]);
        assert_eq!(of(3, 6), [0, 1, 2]);
        assert_eq!(of(1, 4), [0]);
        assert!(of(0, 4).is_empty());
    }
}
