//! `emitter/keyban/`: takes keys back.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::emitter_mode::{fault::Fault, keys::Held, session::EmitterSession};

#[derive(Deserialize)]
pub(super) struct Body {
    secret: String,
    target: String,
    banned: bool,
}

pub(super) async fn answer(
    session: &EmitterSession,
    peer: Option<SocketAddr>,
    body: &Body,
) -> Result<Value, Fault> {
    let context = &session.context;
    match context.judge(peer, &body.secret)? {
        Held::Master => {}
        Held::Channel(_) => return Err(Fault::unauthorized()),
    }
    context.ban(&body.target, body.banned).await?;
    Ok(json!({"status": 200, "banned": body.banned}))
}
