//! `polywire history`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use jiff::{Timestamp, tz::TimeZone};
use polywire::{cli::HistoryFlags, stop_signal};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::plain;
use crate::{
    client::{ClientError, history},
    exit,
};

/// What is shown of a line.
#[derive(Deserialize)]
struct Line<'l> {
    timetoken: String,
    #[serde(borrow)]
    publisher: Option<&'l RawValue>,
    #[serde(borrow)]
    data: Option<&'l RawValue>,
    base64: Option<String>,
}

pub(crate) fn history(flags: &HistoryFlags) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return exit::failed(&error),
    };
    let reading = history::read(flags, |line| print(flags, line));
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = reading => outcome,
            () = stop_signal() => Ok(()),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}

/// False when nobody reads any more.
fn print(flags: &HistoryFlags, line: &str) -> Result<bool, ClientError> {
    let shown = show(flags, line);
    let mut out = io::stdout().lock();
    match writeln!(out, "{shown}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).map_err(ClientError::Output),
    }
}

fn show(flags: &HistoryFlags, line: &str) -> String {
    let parsed = serde_json::from_str::<Line<'_>>(line);
    let Some(parsed) = parsed.ok().filter(|_| !flags.json) else {
        return line.to_owned();
    };
    let message = match (parsed.data, parsed.base64) {
        (Some(data), _) if flags.raw => plain(data.get()),
        (Some(data), _) => data.get().to_owned(),
        (None, base64) => base64.unwrap_or_default(),
    };
    if flags.raw {
        return message;
    }
    let publisher = parsed.publisher.map_or("-".into(), |id| plain(id.get()));
    let ticks: i128 = parsed.timetoken.parse().unwrap_or_default();
    let time = Timestamp::from_nanosecond(ticks * 100).unwrap_or_default();
    let time = time.to_zoned(TimeZone::system()).strftime("%F %T%.3f");
    format!("{time} {} {publisher}: {message}", flags.channel)
}
