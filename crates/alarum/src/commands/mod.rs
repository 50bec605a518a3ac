//! One file a command.

mod ablate;
mod bench;
mod chat;
mod data;
mod demo;
mod doctor;
mod eval;
mod inspect;
mod plan;
mod repair;
mod report;
pub(crate) mod train;

use crate::args::Command;

/// Runs what was typed.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Chat(arguments) => chat::run(&arguments),
        Command::Inspect(command) => inspect::run(&command),
        Command::Report(arguments) => report::run(&arguments),
        Command::Repair { run } => repair::run(&run),
        Command::Bench(command) => bench::run(&command),
        Command::Data(command) => data::run(&command),
        Command::Train(arguments) => train::run(&arguments),
        Command::Ablate(arguments) => ablate::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Doctor => doctor::run(),
    }
}
