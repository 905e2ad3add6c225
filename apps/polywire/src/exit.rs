//! Exit codes and last words of the commands.

use std::{
    error::Error,
    io::{self, ErrorKind},
    process::ExitCode,
};

/// It did not work.
const FAILED: u8 = 1;
/// A wrong setting, an argument that makes no sense, or an address that cannot be listened on.
const USAGE: u8 = 2;

/// Says why it did not work.
pub(crate) fn failed(error: &dyn Error) -> ExitCode {
    say(error);
    ExitCode::from(FAILED)
}

/// Says what is wrong with what was asked for.
pub(crate) fn refused(error: &dyn Error) -> ExitCode {
    say(error);
    ExitCode::from(USAGE)
}

/// One readable message: each level of the error on its own line.
fn say(error: &dyn Error) {
    let mut text = format!("polywire: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!("\n  because: {cause}");
        source = cause.source();
    }
    eprintln!("{text}");
}

/// A reader that has seen enough, such as `head`, is no error of whoever writes.
pub(crate) fn printed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
