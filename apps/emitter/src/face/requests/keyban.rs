//! `emitter/keyban/`: takes keys back.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::face::{fault::Fault, speaker::Speaker};

#[derive(Deserialize)]
pub(super) struct Body {
    secret: String,
    target: String,
    banned: bool,
}

pub(super) async fn answer(speaker: &Speaker, body: &Body) -> Result<Value, Fault> {
    if !speaker.service.keyring.is_master(&body.secret) {
        return Err(Fault::unauthorized());
    }
    speaker.service.ban(&body.target, body.banned).await?;
    Ok(json!({"status": 200, "banned": body.banned}))
}
