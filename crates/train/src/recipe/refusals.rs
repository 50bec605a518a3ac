//! What a stage may not ask for: values that make no sense, and settings that contradict each other or
//! would silently do nothing.

use super::{AlarmParts, Atc, Kind, Length, Reference, Stage, ZeroVariance, refused};
use crate::Error;

impl Stage {
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty()
            || self.name == super::START
            || !self.name.chars().all(is_plain)
            || self.name.starts_with('.')
        {
            let remedy = "write letters, digits, `-` and `_`, and not `start`: it names a folder";
            return Err(refused("name", &format!("`{}`", self.name), remedy));
        }
        if self.data.is_empty() {
            return Err(refused(
                "data",
                "no file",
                "write [{ file = \"records.jsonl\" }]",
            ));
        }
        if self.data.iter().any(|take| take.take == Some(0)) {
            return Err(refused("data", "take = 0", "leave the file out"));
        }
        if let Some(question) = &self.question
            && question.matches("{query}").count() != 1
        {
            return Err(refused("question", question, "write {query} in it once"));
        }
        if let Some(fps) = self.frames.fps
            && !(fps.is_finite() && fps > 0.0)
        {
            return Err(refused(
                "frames.fps",
                &fps.to_string(),
                "write a number above 0",
            ));
        }
        if self.frames.max_frames == Some(0) {
            return Err(refused("frames.max_frames", "0", "write 1 or more"));
        }
        self.check_kind()?;
        self.check_alarm()?;
        self.training.check().map_err(|error| match error {
            Error::Recipe {
                line,
                key,
                value,
                remedy,
            } => Error::Recipe {
                line,
                key: format!("training.{key}"),
                value,
                remedy,
            },
            other => other,
        })
    }

    /// Settings that this kind of stage has no use for would silently do nothing.
    fn check_kind(&self) -> Result<(), Error> {
        let given = [
            ("atc", self.atc.is_some(), Kind::Atc),
            ("grpo", self.grpo.is_some(), Kind::Grpo),
            ("dpo", self.dpo.is_some(), Kind::Dpo),
        ];
        for (key, is_given, kind) in given {
            if is_given && self.kind != kind {
                let value = format!("given in a stage of kind `{}`", self.kind);
                let remedy = "take it out, or change the kind of the stage";
                return Err(refused(key, &value, remedy));
            }
        }
        if let Some(Atc {
            visual, textual, ..
        }) = self.atc
        {
            for (key, value) in [("atc.visual", visual), ("atc.textual", textual)] {
                if !(value.is_finite() && value >= 0.0) {
                    return Err(refused(
                        key,
                        &value.to_string(),
                        "write a finite number, 0 or more",
                    ));
                }
            }
        }
        if let Some(dpo) = self.dpo {
            if !(dpo.beta.is_finite() && dpo.beta > 0.0) {
                return Err(refused(
                    "dpo.beta",
                    &dpo.beta.to_string(),
                    "write a number above 0",
                ));
            }
            if !(0.0..0.5).contains(&dpo.label_smoothing) {
                let value = dpo.label_smoothing.to_string();
                return Err(refused(
                    "dpo.label_smoothing",
                    &value,
                    "write 0 or more, below 0.5",
                ));
            }
        }
        let Some(grpo) = &self.grpo else {
            return Ok(());
        };
        grpo.check()?;
        if grpo.reference == Reference::LoraOff && self.lora.is_none() {
            let remedy = "write \"frozen\", or train adapters with [stage.lora]";
            return Err(refused(
                "grpo.reference",
                "lora-off without adapters",
                remedy,
            ));
        }
        if matches!(grpo.zero_variance, ZeroVariance::Resample(_))
            && matches!(self.training.length, Length::Epochs(_))
        {
            let remedy = "write training.length = { steps = N }: how many steps an epoch has is not known when prompts are drawn again";
            return Err(refused(
                "grpo.zero_variance",
                "resample over epochs",
                remedy,
            ));
        }
        Ok(())
    }

    fn check_alarm(&self) -> Result<(), Error> {
        let Some(alarm) = &self.alarm else {
            return Ok(());
        };
        let trains_heads = matches!(alarm.train, AlarmParts::Heads | AlarmParts::Both);
        if trains_heads && self.kind != Kind::Atc {
            let remedy = "train them in a stage of kind `atc`: only its loss has them";
            return Err(refused("alarm.train", "the heads", remedy));
        }
        if self.kind == Kind::AtSft && alarm.train == AlarmParts::Nothing {
            let remedy = "write \"embeddings\", or make it a stage of kind `cot`";
            return Err(refused("alarm.train", "nothing", remedy));
        }
        if self.kind == Kind::Atc && !trains_heads {
            let remedy = "write \"both\" or \"heads\", or make it a stage of kind `at-sft`";
            return Err(refused("alarm.train", "no heads", remedy));
        }
        for (key, rate) in [
            (
                "alarm.embeddings_learning_rate",
                alarm.embeddings_learning_rate,
            ),
            ("alarm.heads_learning_rate", alarm.heads_learning_rate),
        ] {
            if !(rate.is_finite() && rate >= 0.0) {
                return Err(refused(
                    key,
                    &rate.to_string(),
                    "write a finite number, 0 or more",
                ));
            }
        }
        Ok(())
    }
}
