//! One stage: what learns, from what, by which loss.

use std::fmt;
use std::path::PathBuf;

use model::alarm::Initial;
use model::lora::LoraConfig;
use serde::{Deserialize, Serialize};

use super::{Grpo, Training};
use crate::loss::dpo::DpoSettings;
use crate::run::seed_of;

/// What a stage minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The next token of the answers.
    Sft,
    /// The next token of the answers, with alarm tokens whose embeddings learn (stage 1 of the
    /// official code).
    AtSft,
    /// The same, and the alarm heads' binary cross-entropy (stage 2).
    Atc,
    /// The next token of tagged reasoning and answers (stage 3).
    Cot,
    /// Rewards of the model's own completions (stage 4).
    Grpo,
    /// Preference pairs (arXiv:2305.18290).
    Dpo,
}

impl Kind {
    /// As a recipe writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::AtSft => "at-sft",
            Self::Atc => "atc",
            Self::Cot => "cot",
            Self::Grpo => "grpo",
            Self::Dpo => "dpo",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Records of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// JSONL of records.
    pub file: PathBuf,
    /// So many of them, drawn with the recipe's seed; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<usize>,
}

/// Which of the alarm's parts learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmParts {
    /// They stand in the prompt as they are.
    Nothing,
    /// The two embeddings.
    Embeddings,
    /// The two heads: refits them to a network that went on learning.
    Heads,
    /// Embeddings and heads.
    Both,
}

impl AlarmParts {
    /// Whether the parameter of this name learns.
    pub fn includes(self, name: &str) -> bool {
        let is_head = name.contains("_head.");
        match self {
            Self::Nothing => false,
            Self::Embeddings => !is_head,
            Self::Heads => is_head,
            Self::Both => true,
        }
    }
}

/// How a stage treats the alarm tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmStage {
    /// Which of its parts learn.
    pub train: AlarmParts,
    /// Of embeddings that the checkpoint does not have yet.
    #[serde(default)]
    pub initial: Initial,
    /// Of the embeddings, at the top of the schedule.
    #[serde(default = "paper_rate")]
    pub embeddings_learning_rate: f64,
    /// Of the heads, at the top of the schedule.
    #[serde(default = "paper_rate")]
    pub heads_learning_rate: f64,
}

/// The official code's rate of the alarm tokens and of the heads.
fn paper_rate() -> f64 {
    1e-5
}

impl AlarmStage {
    /// The paper's numbers.
    pub fn of(train: AlarmParts) -> Self {
        Self {
            train,
            initial: Initial::default(),
            embeddings_learning_rate: paper_rate(),
            heads_learning_rate: paper_rate(),
        }
    }
}

/// Weights of the alarm heads' losses: λ of `L = L_base + λv·ATCv + λt·ATCt` (arXiv 2505.16643, eq. 3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Atc {
    /// λv, of the video's head.
    pub visual: f64,
    /// λt, of the query's head.
    pub textual: f64,
    /// What is done with a sample that lacks a label.
    pub unlabelled: Unlabelled,
}

/// What is done with a sample that lacks a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unlabelled {
    /// The run does not begin.
    #[default]
    Refuse,
    /// It teaches the head nothing, and is counted.
    Skip,
}

impl Default for Atc {
    fn default() -> Self {
        Self {
            visual: 0.1,
            textual: 0.1,
            unlabelled: Unlabelled::default(),
        }
    }
}

/// Which frames are shown, where not the checkpoint's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frames {
    /// Frames a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// At most so many frames of a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_frames: Option<usize>,
}

/// One stage of a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Unique in the recipe; part of its folder's name.
    pub name: String,
    /// What it minimises.
    pub kind: Kind,
    /// The stage whose weights it starts from, or `start`; absent means the one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it learns from.
    pub data: Vec<Take>,
    /// Told before every record that has no system prompt of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Around every query, which stands in it as `{query}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Keep only the input of each decoder block and compute the block again in the backward pass:
    /// less memory, about a third more time.
    #[serde(default)]
    pub recompute: bool,
    /// Which frames are shown.
    #[serde(default)]
    pub frames: Frames,
    /// How the weights change.
    #[serde(default)]
    pub training: Training,
    /// Alarm tokens; the kind's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmStage>,
    /// Of the kind `atc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atc: Option<Atc>,
    /// Train adapters instead of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Of the kind `grpo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpo: Option<Grpo>,
    /// Of the kind `dpo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpo: Option<DpoSettings>,
}

impl Stage {
    /// A stage of that kind with the paper's numbers.
    pub fn of(kind: Kind, data: PathBuf) -> Self {
        let mut training = Training::default();
        if kind == Kind::Grpo {
            training.weight_decay = 0.01;
            training.clip = 5.0;
        }
        Self {
            name: kind.name().to_owned(),
            kind,
            from: None,
            data: vec![Take {
                file: data,
                take: None,
            }],
            system: None,
            question: None,
            recompute: false,
            frames: Frames::default(),
            training,
            alarm: None,
            atc: None,
            lora: None,
            grpo: None,
            dpo: None,
        }
    }

    /// How this stage treats the alarm tokens. Nothing means as the checkpoint does: one that has them
    /// keeps them in its prompts, frozen.
    pub fn alarm(&self) -> Option<AlarmStage> {
        let own = match self.kind {
            Kind::AtSft => Some(AlarmParts::Embeddings),
            Kind::Atc => Some(AlarmParts::Both),
            Kind::Sft | Kind::Cot | Kind::Grpo | Kind::Dpo => None,
        };
        self.alarm.clone().or(own.map(AlarmStage::of))
    }

    /// Weights of the heads' losses, where there are any.
    pub fn atc(&self) -> Option<Atc> {
        (self.kind == Kind::Atc).then(|| self.atc.unwrap_or_default())
    }

    /// Everything that the kind leaves open, written out.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let mut stage = self.clone();
        stage.alarm = self.alarm();
        stage.atc = self.atc();
        if self.kind == Kind::Grpo {
            stage.grpo.get_or_insert_default();
        }
        if self.kind == Kind::Dpo {
            stage.dpo.get_or_insert_default();
        }
        stage
    }

    /// As it runs in a recipe of that seed: resolved, and with a seed of its own. One seed for all stages
    /// would have them draw alike.
    #[must_use]
    pub fn running(&self, seed: u64) -> Self {
        let mut stage = self.resolved();
        let name = self.name.bytes().fold(0usize, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(byte.into())
        });
        stage.training.seed =
            seed_of(seed, 0, stage.training.seed as usize) ^ seed_of(seed, 1, name);
        stage
    }
}
