//! The report of a training run as one HTML file that needs nothing else: no request, no script.

use anyhow::Result;
use serde::Serialize;

use super::Stage;
use super::completions::{Followed, Group, Prompt, followed};
use super::curves::panels;
use super::diff::{Kind, Piece, diff};
use super::plot::{Drawing, draw, spark};
use super::terminal::{finding, said};
use crate::report::numbers::{change, duration, grouped, large, short};
use crate::report::words::{counted, line, plain};
use crate::report::{STYLE, html};

const TEMPLATE: &str = include_str!("training.html");
const OWN_STYLE: &str = include_str!("training.css");
/// Rewards of a rollout that are shown.
const REWARDS: usize = 12;

/// What the template is filled with. Strings are escaped there, but for the styles and the drawings of
/// [`super::plot`], which hold no foreign text.
#[derive(Serialize)]
struct Page {
    style: &'static str,
    own_style: &'static str,
    title: String,
    finding: String,
    warnings: Vec<String>,
    stages: Vec<Section>,
}

#[derive(Serialize)]
struct Section {
    name: String,
    steps: String,
    samples: String,
    tokens: String,
    time: String,
    parameters: String,
    state: &'static str,
    smoothing: Option<String>,
    drawings: Vec<Drawing>,
    rollouts: Option<String>,
    prompts: Vec<PromptCard>,
    /// Whether a prompt came in more than one step.
    comes_again: bool,
    settings: Vec<(String, String)>,
}

#[derive(Serialize)]
struct PromptCard {
    id: String,
    rewards: String,
    spark: String,
    groups: Vec<GroupCard>,
}

#[derive(Serialize)]
struct GroupCard {
    step: String,
    mean: String,
    change: Option<String>,
    about: String,
    note: Option<&'static str>,
    pieces: Vec<Piece>,
    rewards: Vec<RewardChip>,
}

#[derive(Serialize)]
struct RewardChip {
    name: String,
    value: String,
    /// Against the rollout before, where it is another.
    change: Option<String>,
}

/// The whole page of a run or a chain. The same files give the same bytes.
///
/// # Errors
/// If rollouts are there and cannot be read.
pub(crate) fn render(title: &str, stages: &[Stage]) -> Result<String> {
    let page = Page {
        style: STYLE,
        own_style: OWN_STYLE,
        title: line(title, 120),
        finding: finding(stages),
        warnings: said(stages),
        stages: stages.iter().map(section).collect::<Result<_>>()?,
    };
    html::fill("training.html", TEMPLATE, &page)
}

fn section(stage: &Stage) -> Result<Section> {
    let panels = panels(stage);
    let followed = followed(stage)?;
    let half = super::curves::half_window(stage.steps.len());
    let mut settings = vec![
        (
            "samples in the data".to_owned(),
            grouped(stage.start.samples as u64),
        ),
        ("seed".to_owned(), stage.start.seed.to_string()),
        ("data".to_owned(), line(&stage.start.data, 80)),
    ];
    for (name, version) in &stage.start.versions {
        settings.push((format!("version of {}", line(name, 60)), line(version, 120)));
    }
    settings.extend(html::flattened(&stage.start.recipe));
    Ok(Section {
        name: line(&stage.name, 80),
        steps: stage.progress(),
        samples: grouped(stage.samples() as u64),
        tokens: large(stage.tokens() as f64),
        time: duration(stage.seconds()),
        parameters: large(stage.start.parameters as f64),
        state: stage.state(),
        smoothing: (half > 0).then(|| {
            format!(
                "Bold: the mean over {} steps. Faint: every step.",
                2 * half + 1
            )
        }),
        drawings: panels.iter().map(draw).collect(),
        rollouts: (followed.rollouts > 0).then(|| about(&followed)),
        comes_again: followed
            .prompts
            .iter()
            .any(|prompt| prompt.course.len() > 1),
        prompts: followed.prompts.iter().map(prompt_card).collect(),
        settings,
    })
}

fn about(followed: &Followed) -> String {
    let mut text = format!("{} in all.", counted_grouped(followed.rollouts, "rollout"));
    if followed.unreadable > 0 {
        text += &format!(
            " {} of rollouts.jsonl cannot be read and are left out.",
            counted(followed.unreadable, "line")
        );
    }
    text
}

fn counted_grouped(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(count as u64))
}

fn prompt_card(prompt: &Prompt) -> PromptCard {
    let ends = prompt.course.first().zip(prompt.course.last());
    let rewards = match ends {
        Some(((from, first), (to, last))) if from != to => format!(
            "mean reward {} at step {from}, {} at step {to}",
            short(*first),
            short(*last)
        ),
        Some(((step, mean), _)) => format!("mean reward {} at step {step}", short(*mean)),
        None => String::new(),
    };
    let before = std::iter::once(None).chain(prompt.shown.iter().map(Some));
    PromptCard {
        id: line(&prompt.id, 120),
        rewards,
        spark: spark(&prompt.course),
        groups: prompt
            .shown
            .iter()
            .zip(before)
            .map(|(group, before)| group_card(group, before))
            .collect(),
    }
}

fn group_card(group: &Group, before: Option<&Group>) -> GroupCard {
    let text = plain(&group.first.text);
    let pieces = before.map(|before| diff(&plain(&before.first.text), &text));
    let note = match &pieces {
        Some(None) => Some("written anew"),
        Some(Some(pieces)) if pieces.iter().all(|piece| piece.kind == Kind::Same) => {
            Some("the same text")
        }
        _ => None,
    };
    let whole = Piece {
        kind: Kind::Same,
        text,
    };
    let rewards = group
        .first
        .rewards
        .iter()
        .take(REWARDS)
        .map(|(name, value)| RewardChip {
            name: line(name, 40),
            value: short(*value),
            change: before
                .and_then(|before| before.first.rewards.get(name))
                .map(|before| value - before)
                .filter(|difference| difference.abs() > 1e-9)
                .map(change),
        });
    let finish = match group.first.finish.as_str() {
        "length" => ", cut off by the limit",
        _ => "",
    };
    GroupCard {
        step: grouped(group.step as u64),
        mean: short(group.mean_reward),
        change: before.map(|before| change(group.mean_reward - before.mean_reward)),
        about: format!(
            "first of {}, {} tokens{finish}, reward {}",
            counted(group.size, "rollout"),
            grouped(group.first.tokens as u64),
            short(group.first.reward)
        ),
        note,
        pieces: pieces.flatten().unwrap_or_else(|| vec![whole]),
        rewards: rewards.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::training::{stage::stages, world};

    fn page() -> String {
        let folder = tempfile::tempdir().unwrap();
        world::chain(folder.path());
        render(world::HOSTILE, &stages(folder.path()).unwrap()).unwrap()
    }

    #[test]
    fn foreign_text_stays_text() {
        let page = page();
        for escape in ["<script", "</script", "<img", "<b>", "\u{1b}", "\u{202e}"] {
            let body = page.split_once("<body>").unwrap().1;
            // The page's own emphasis is `<b>`, and comes with a number.
            let own = body.replace("<b>politeness", "");
            assert!(escape == "<b>" || !own.contains(escape), "{escape}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"));
        assert!(page.contains("politeness &lt;b&gt;"));
    }

    #[test]
    fn the_page_asks_nobody_for_anything_and_runs_nothing() {
        let page = page();
        assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline';"));
        for asking in [
            "url(", "@import", "http://", "https://", "<link", "src=\"", "<script",
        ] {
            assert!(!page.contains(asking), "{asking}");
        }
        for (at, _) in page.match_indices("href=\"") {
            assert!(page[at..].starts_with("href=\"#"), "{}", &page[at..at + 40]);
        }
    }

    #[test]
    fn every_stage_has_its_curves_and_the_policy_its_completions() {
        let page = page();
        assert_eq!(page.matches("<section class=\"stage\"").count(), 3);
        assert_eq!(page.matches("<h3>Loss").count(), 3);
        assert_eq!(page.matches("<h3>Accuracy of the alarm heads").count(), 1);
        assert_eq!(page.matches("<article class=\"prompt\"").count(), 4);
        assert!(page.contains("<ins>") && page.contains("<del>"));
    }

    #[test]
    fn warnings_name_their_stage() {
        let page = page();
        assert!(page.contains("2-atc: the loss jumped once, highest at step 200"));
        assert!(page.contains("3-grpo: the KL to the reference rose"));
    }

    #[test]
    fn the_same_run_gives_the_same_bytes() {
        assert_eq!(page(), page());
    }
}
