//! `polywire bench`: what a server costs, measured from outside.

mod connection;
mod error;
mod floor;
mod histogram;
mod load;
mod measure;
mod process;
mod protocols;
mod record;
mod report;
mod target;
mod traffic;

use std::{io::Write, process::ExitCode};

use polywire::cli::{BenchFlags, BenchProtocol};

pub(crate) use self::error::BenchError;
use self::target::Target;
use crate::exit;

pub(crate) fn bench(flags: &BenchFlags) -> ExitCode {
    // A refused raise shows as an error of the connection that is one too many.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}

fn run(flags: &BenchFlags) -> Result<(), BenchError> {
    let target = Target::of(flags)?;
    let Some(protocol) = protocols::protocol(flags.protocol, &target.authority) else {
        debug_assert_eq!(flags.protocol, BenchProtocol::ServeFloor);
        return floor::serve(target.address);
    };
    let report = measure::measure(flags, &target, protocol.as_ref())?;
    let text = if flags.json {
        report.json().to_string()
    } else {
        report.text()
    };
    exit::printed(writeln!(std::io::stdout(), "{text}")).map_err(BenchError::Output)
}
