//! `emitter/keyban/`: takes keys back.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::emitter_mode::{fault::Fault, session::EmitterSession};

#[derive(Deserialize)]
pub(super) struct Body {
    secret: String,
    target: String,
    banned: bool,
}

pub(super) async fn answer(session: &EmitterSession, body: &Body) -> Result<Value, Fault> {
    if !session.context.keyring.is_master(&body.secret) {
        return Err(Fault::unauthorized());
    }
    session.context.ban(&body.target, body.banned).await?;
    Ok(json!({"status": 200, "banned": body.banned}))
}
