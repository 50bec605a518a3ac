//! `alarum` measures and improves the safety of video language models. Only this crate prints.

use std::process::ExitCode;

use clap::Parser;

mod ablation;
mod args;
mod commands;
mod demo;
mod local;
mod media;
mod progress;
mod report;
mod reward;
mod threads;

/// Keeps large tensor blocks instead of giving them back to the system after each operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("ALARUM_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    if arguments.command.is_long() {
        threads::begin_anew();
    }
    match commands::run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => progress::failed(&error),
    }
}
