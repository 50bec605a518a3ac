//! What the terminal shows while something runs: a bar where there is a terminal, a line now and then
//! where there is none. Talk goes to stderr, data to stdout.

#![expect(clippy::print_stderr, reason = "this is the file that speaks")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use train::events::Step;

use crate::report::numbers::{large, short};

/// One line of talk.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// Data for whoever reads stdout. A reader that went away is no error of ours.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let _closed_pipe_is_fine = std::io::stdout().write_all(text.as_bytes());
}

/// One line of data.
pub(crate) fn print_line(text: &str) {
    print(&format!("{text}\n"));
}

/// The wish of a user that cannot be met: their input is wrong. Exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UserError(pub String);

/// Says why the program ends and with which code: 1 the user's input, 2 ours or the world's.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    let users = error.chain().any(<dyn std::error::Error>::is::<UserError>);
    ExitCode::from(if users { 1 } else { 2 })
}

/// What an optimizer step did, in a line: rewards with their parts and what they cost, or the loss and how
/// well the alarm heads do, and the pace.
pub(crate) fn step_in_words(step: &Step, tokens_per_second: f64) -> String {
    let part = |name: &str| step.parts.get(name).map(|value| f64::from(*value));
    let share =
        |name: &str, word: &str| part(name).map(|share| format!("{word} {:.0} %", share * 100.0));
    let mut words = Vec::new();
    if let Some(reward) = part("reward") {
        let parts: Vec<String> = step
            .parts
            .iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix("reward.")?;
                Some(format!("{name} {}", short(f64::from(*value))))
            })
            .collect();
        let parts = if parts.is_empty() {
            String::new()
        } else {
            format!(" ({})", parts.join(", "))
        };
        words.push(format!("reward {}{parts}", short(reward)));
    }
    words.push(format!("loss {}", short(f64::from(step.loss))));
    words.extend(share("atc.accuracy.visual", "video"));
    words.extend(share("atc.accuracy.textual", "text"));
    words.extend(share("dpo.accuracy", "preferred"));
    words.extend(part("kl").map(|kl| format!("KL {}", short(kl))));
    words.extend(part("length").map(|length| format!("length {length:.0}")));
    words.extend(share("truncated", "cut off"));
    words.extend(share("zero_variance", "equal rewards"));
    words.push(format!("{} tokens/s", large(tokens_per_second)));
    words.join(", ")
}

/// A long piece of work.
pub(crate) struct Bar {
    bar: ProgressBar,
    name: String,
    said: std::sync::Mutex<Instant>,
}

impl Bar {
    /// Begins showing `total` steps of `name`.
    pub(crate) fn new(name: &str, total: u64) -> Self {
        let style = ProgressStyle::with_template(
            "{prefix:>10} [{bar:24}] {pos}/{len}  {elapsed} < {eta}  {wide_msg}",
        )
        .expect("the template is a constant")
        .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
            .with_style(style);
        bar.set_prefix(name.to_owned());
        Self {
            bar,
            name: name.to_owned(),
            said: std::sync::Mutex::new(Instant::now()),
        }
    }

    /// Shows that `done` steps are done, and a few words.
    pub(crate) fn set(&self, done: u64, words: &str) {
        let is_resumed = self.bar.position() == 0 && done > 1;
        self.bar.set_position(done);
        if is_resumed {
            // What an earlier process did took this one no time.
            self.bar.reset_eta();
        }
        self.bar.set_message(words.to_owned());
        self.say_sometimes();
    }

    /// Says how many steps there are.
    pub(crate) fn length(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Shows one more step.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
        self.say_sometimes();
    }

    /// Ends, leaving one line.
    pub(crate) fn finish(&self, words: &str) {
        self.bar.finish_and_clear();
        let seconds = self.bar.elapsed().as_secs_f64();
        eprintln!("{:>10}  {words} ({seconds:.1} s)", self.name);
    }

    /// Where stderr is no terminal, one line every ten seconds.
    fn say_sometimes(&self) {
        if !self.bar.is_hidden() {
            return;
        }
        let Ok(mut said) = self.said.lock() else {
            return;
        };
        if said.elapsed() >= Duration::from_secs(10) {
            *said = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
            eprintln!("{:>10}  {done}/{total}  {}", self.name, self.bar.message());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[track_caller]
    fn check(parts: &[(&str, f32)], words: &str) {
        let step = Step {
            step: 1,
            epoch: 0,
            loss: 0.25,
            parts: parts
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            grad_norm: 1.0,
            learning_rates: BTreeMap::new(),
            samples: 8,
            tokens: 100,
            targets: 10,
            seconds: 0.5,
        };
        assert_eq!(step_in_words(&step, 4321.0), words);
    }

    #[test]
    fn a_supervised_step_is_its_loss() {
        check(&[("next_token", 0.25)], "loss 0.250, 4,321 tokens/s");
    }

    #[test]
    fn a_step_with_alarm_heads_says_how_well_they_do() {
        let parts = [
            ("atc.accuracy.textual", 1.0),
            ("atc.accuracy.visual", 0.875),
        ];
        check(&parts, "loss 0.250, video 88 %, text 100 %, 4,321 tokens/s");
    }

    #[test]
    fn a_step_of_a_policy_leads_with_its_rewards() {
        let parts = [
            ("reward", 2.5),
            ("reward.format", 1.0),
            ("reward.rouge", 0.5),
            ("kl", 0.02),
            ("length", 120.4),
            ("truncated", 0.25),
            ("zero_variance", 0.5),
        ];
        let words = "reward 2.50 (format 1.00, rouge 0.500), loss 0.250, KL 0.020, length 120, cut off 25 %, \
                     equal rewards 50 %, 4,321 tokens/s";
        check(&parts, words);
    }
}
