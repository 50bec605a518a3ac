//! What the terminal shows while something runs: a bar where there is a terminal, a line now and then
//! where there is none. Talk goes to stderr, data to stdout.

#![expect(clippy::print_stderr, reason = "this is the file that speaks")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
            "{prefix:>10} [{bar:32}] {pos}/{len}  {elapsed} < {eta}  {msg}",
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
        self.bar.set_position(done);
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
