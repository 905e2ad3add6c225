//! `polywire revoke`.

use std::process::ExitCode;

use polywire::cli::RevokeFlags;
use serde_json::{Map, Value};

use crate::{
    client::{ClientError, HttpClient},
    exit,
};

/// Where servers take rights back.
const PATH: [&str; 3] = ["admin", "v1", "revocations"];

pub(crate) fn revoke(flags: &RevokeFlags) -> ExitCode {
    match post(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}

fn post(flags: &RevokeFlags) -> Result<(), ClientError> {
    let client = HttpClient::new(
        &flags.server,
        &flags.header,
        &PATH,
        flags.query.as_deref(),
        "the revocation",
    )?;
    client.post(&Value::Object(call(flags)).to_string())
}

fn call(flags: &RevokeFlags) -> Map<String, Value> {
    let mut call = Map::new();
    let time = flags.issued_before.map(|time| time.to_string());
    for (name, value) in [
        ("client", &flags.client),
        ("credential", &flags.credential),
        ("issued_before", &time),
    ] {
        if let Some(value) = value {
            call.insert(name.into(), value.as_str().into());
        }
    }
    if flags.lift {
        call.insert("lift".into(), true.into());
    }
    call
}
