//! The `polywire` command.

use std::process::ExitCode;

use clap::Parser;
use polywire::cli::{Cli, Command};

mod serve;

fn main() -> ExitCode {
    match Cli::parse().command.unwrap_or_default() {
        Command::Serve(flags) => serve::serve(&flags),
    }
}
