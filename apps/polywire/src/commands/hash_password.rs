//! `polywire hash-password`.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
};

use polywire::auth;

use crate::exit;

#[derive(Debug, thiserror::Error)]
enum NoHash {
    #[error("there is no password: write it to standard input, on one line")]
    Nothing,
    #[error("the password cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

pub(crate) fn hash_password() -> ExitCode {
    match read().and_then(|password| {
        auth::hash_password(&password).map_err(|error| NoHash::Hash(error.to_string()))
    }) {
        Ok(hash) => match exit::printed(writeln!(io::stdout(), "{hash}")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => exit::failed(&error),
        },
        Err(error) => exit::refused(&error),
    }
}

/// The first line of standard input.
fn read() -> Result<String, NoHash> {
    if io::stdin().is_terminal() {
        eprintln!("The password, which is shown as you type; end it with Enter:");
    }
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(NoHash::Unreadable)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(NoHash::Nothing);
    }
    Ok(password.to_owned())
}
