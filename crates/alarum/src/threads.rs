//! Settings that libraries read from the environment when a process starts.

/// Begins this process anew with the settings that long work wants, unless the user set them.
///
/// Evaluation and training keep every core busy with work of their own; candle's pool, which spins and
/// is shared under a lock, would make them take turns (more than three times slower on two cores). The
/// allocator keeps freed blocks instead of returning them after each step.
///
/// Setting a variable inside a running process is not safe; a new image of it is.
#[cfg(unix)]
pub(crate) fn begin_anew() {
    use std::os::unix::process::CommandExt;
    const SETTINGS: [(&str, &str); 2] =
        [("CANDLE_NUM_THREADS", "1"), ("MIMALLOC_PURGE_DELAY", "-1")];
    let missing: Vec<_> = SETTINGS
        .into_iter()
        .filter(|(name, _)| std::env::var_os(name).is_none())
        .collect();
    if missing.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let error = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .envs(missing)
        .exec();
    // Slower, but right.
    tracing::warn!(%error, "cannot begin anew with settings for long work");
}

#[cfg(not(unix))]
pub(crate) fn begin_anew() {}
