//! The `lyrebird` command.
//!
//! [`args`] is the command line, [`run`] boots a machine, [`guests`] keeps ready-made ones, [`roms`] are built in, [`mod@bench`] measures,
//! [`console`] and [`terminal`] are the host's end of the serial port.

mod args;
mod bench;
mod console;
mod guests;
mod machine;
mod message;
mod roms;
mod run;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use message::note;

fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::install_panic_hook();
    let result = match cli.command {
        None => run::monitor(&cli.machine),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Roms) => guests::command::print(&roms::list()).map(|()| run::SUCCESS),
        Some(Command::Bench(args)) => bench::bench(&args),
        Some(Command::Guests(args)) => guests::command::guests(&args).map(|()| run::SUCCESS),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            note(&message::chain(&e));
            ExitCode::from(run::FAILURE)
        }
    }
}
