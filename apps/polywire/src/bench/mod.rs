//! `polywire bench`: what a server costs, measured from outside.

mod connection;
mod error;
mod floor;
mod histogram;
mod load;
mod measure;
mod process;
mod progress;
mod protocols;
mod record;
mod report;
mod traffic;

use std::{io::Write, process::ExitCode};

use polywire::cli::{BenchFlags, BenchProtocol};

pub(crate) use self::error::BenchError;
use crate::exit;

pub(crate) fn bench(flags: &BenchFlags) -> ExitCode {
    // A refused raise shows as an error of the connection that is one too many.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let result = match protocols::protocol(flags.protocol, flags.addr) {
        Some(protocol) => measure::measure(flags, protocol.as_ref()).and_then(|report| {
            let text = if flags.json {
                report.json().to_string()
            } else {
                report.text()
            };
            exit::printed(writeln!(std::io::stdout(), "{text}")).map_err(BenchError::Output)
        }),
        None => {
            debug_assert_eq!(flags.protocol, BenchProtocol::ServeFloor);
            floor::serve(flags.addr)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}
