//! The `polywire` command.

use std::process::ExitCode;

use clap::Parser;
use polywire::{
    cli::{Cli, Command},
    survive_file_size_limit,
};

mod bench;
mod client;
mod commands;
mod exit;
mod progress;
mod serve;

fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or_default();
    survive_file_size_limit();
    match command {
        Command::Serve(flags) => serve::serve(&flags),
        Command::Pub(flags) => commands::publish(&flags),
        Command::Sub(flags) => commands::subscribe(&flags),
        Command::History(flags) => commands::history(&flags),
        Command::Revoke(flags) => commands::revoke(&flags),
        Command::Export(flags) => commands::export(&flags),
        Command::Import(flags) => commands::import(&flags),
        Command::Token(flags) => commands::token(&flags),
        Command::HashPassword => commands::hash_password(),
        Command::Keygen(flags) => commands::keygen(&flags),
        Command::Bench(flags) => bench::bench(&flags),
    }
}
