//! Requests: what is published to `emitter/NAME/`.

mod history;
mod keyban;
pub(crate) mod keygen;
mod link;
mod me;
pub(super) mod presence;

use polywire_core::space::Attachment;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{fault::Fault, session::EmitterSession};

/// The answer to a request.
pub(super) async fn answer(
    session: &mut EmitterSession,
    name: &str,
    body: &[u8],
    attachment: &mut Attachment,
) -> Result<Map<String, Value>, Fault> {
    let answer = match name {
        "keygen" => keygen::answer(session, attachment.origin().peer, &read(body)?)?,
        "presence" => presence::answer(session, read(body)?, attachment).await?,
        "me" => me::answer(session),
        "link" => link::answer(session, read(body)?, attachment).await?,
        "keyban" => keyban::answer(session, attachment.origin().peer, &read(body)?).await?,
        "history" => history::answer(session, &read(body)?, attachment).await?,
        _ => return Err(Fault::unknown_request()),
    };
    match answer {
        Value::Object(answer) => Ok(answer),
        _ => Err(Fault::unavailable("There is no answer.")),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        Fault::bad(format!(
            "The request is not the JSON that it should be: {error}."
        ))
    })
}
