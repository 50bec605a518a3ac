//! A child process that cannot outstay its deadline, flood us or leave anything behind.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::Error;
use crate::limits::Deadline;

/// Of standard error the last bytes are kept, this many.
const TAIL: usize = 8 << 10;

/// A running child; what it writes arrives as values of `T`.
pub(crate) struct Child<T> {
    child: process::Child,
    values: Receiver<T>,
    tail: Receiver<Vec<u8>>,
    deadline: Deadline,
    reaped: bool,
}

/// How a child ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The last bytes of its standard error.
    pub(crate) tail: String,
}

impl<T: Send + 'static> Child<T> {
    /// Starts `program` in a process group of its own; `read` turns its standard output into values
    /// on a thread of its own, one value ahead of [`Child::next`].
    pub(crate) fn start(
        program: &Path,
        arguments: Vec<OsString>,
        deadline: &Deadline,
        read: impl FnOnce(ChildStdout, SyncSender<T>) + Send + 'static,
    ) -> Result<Self, Error> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Start {
                program: program.into(),
                source,
            })?;
        let stdout = child.stdout.take().expect("standard output was piped");
        let stderr = child.stderr.take().expect("standard error was piped");
        let (send_value, values) = sync_channel(1);
        let (send_tail, tail) = channel();
        thread::spawn(move || read(stdout, send_value));
        // Nobody waits for the tail of a child that was killed.
        thread::spawn(move || drop(send_tail.send(last_bytes(stderr))));
        Ok(Self {
            child,
            values,
            tail,
            deadline: deadline.clone(),
            reaped: false,
        })
    }

    /// The next value; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<T>, Error> {
        match self.values.recv_timeout(self.deadline.left()) {
            Ok(value) => Ok(Some(value)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(self.deadline.passed()),
        }
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Result<Ended, Error> {
        let tail = match self.tail.recv_timeout(self.deadline.left()) {
            Ok(tail) => String::from_utf8_lossy(&tail).into_owned(),
            Err(RecvTimeoutError::Timeout) => return Err(self.deadline.passed()),
            Err(RecvTimeoutError::Disconnected) => String::new(),
        };
        let mut pause = Duration::from_micros(200);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.reaped = true;
                return Ok(Ended { status, tail });
            }
            if self.deadline.left().is_zero() {
                return Err(self.deadline.passed());
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl<T> Drop for Child<T> {
    /// Ends the child with everything it started, and reaps it.
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may be gone already.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn last_bytes(mut stderr: ChildStderr) -> Vec<u8> {
    let mut tail = VecDeque::with_capacity(TAIL);
    let mut piece = [0; 1024];
    loop {
        match stderr.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                tail.extend(&piece[..read]);
                tail.drain(..tail.len().saturating_sub(TAIL));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    tail.into()
}

/// What a person should read of ffmpeg's standard error: its last three messages on one line,
/// without addresses, progress figures and control characters.
pub(crate) fn last_words(tail: &str, url: &OsString) -> String {
    let url = format!("{}: ", url.to_string_lossy());
    let lines: Vec<String> = tail
        .lines()
        .map(|line| without_addresses(line.trim()).replace(&url, ""))
        .filter(|line| !line.is_empty() && !is_progress(line))
        .collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    last.chars().filter(|c| !c.is_control()).take(600).collect()
}

/// `frame=12`, the shape of every line that `-progress` writes.
fn is_progress(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// `[mov,mp4 @ 0x5581]` becomes `[mov,mp4]`: two runs say the same.
fn without_addresses(line: &str) -> String {
    let Some((name, rest)) = line.split_once(" @ 0x") else {
        return line.into();
    };
    match rest.split_once(']') {
        Some((_, said)) => format!("{name}]{}", without_addresses(said)),
        None => line.into(),
    }
}
