//! The event handlers of a hub, asked in their order.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;
use polywire_core::{JsonText, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    caller::{Answer, Caller, NoAnswer},
    post::{BINARY, JSON, Post, TEXT, What},
    settings::{SystemEvent, Webhook},
};
use crate::{
    event::{ConnectRequest, Connection, Event, EventFailure, EventHandler, Reply, Welcome},
    keys::Keys,
};

/// Pauses before a notice is posted again: nothing is lost by posting it twice, under the same `ce-id`.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Characters of a handler's refusal that a client is told.
const REFUSAL_CHARS_MAX: usize = 1024;

/// The event handlers of a hub: the first that takes an event gets it.
pub(crate) struct Webhooks {
    pub(crate) callers: Arc<Vec<Caller>>,
    pub(crate) keys: Keys,
    /// The host of this server, as handlers know it.
    pub(crate) origin: String,
    /// Bytes of an answer.
    pub(crate) bytes_max: usize,
}

/// What a handler is told of somebody who wants to connect.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectBody<'c> {
    claims: BTreeMap<&'c str, Vec<String>>,
    query: BTreeMap<String, Vec<String>>,
    headers: BTreeMap<&'c str, Vec<String>>,
    subprotocols: &'c [String],
    client_certificates: [(); 0],
}

/// What a handler may say of somebody who may connect.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConnectAnswer {
    user_id: Option<String>,
    groups: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    subprotocol: Option<String>,
}

#[async_trait]
impl EventHandler for Webhooks {
    async fn connect(&self, request: &ConnectRequest) -> Result<Welcome, EventFailure> {
        let takes = |webhook: &Webhook| webhook.takes_system(SystemEvent::Connect);
        let Some(caller) = self.first(takes) else {
            return Ok(Welcome::default());
        };
        let body = ConnectBody {
            claims: claims(&request.claims),
            query: query(&request.query),
            headers: headers(&request.headers),
            subprotocols: &request.subprotocols,
            client_certificates: [],
        };
        let what = What::System(SystemEvent::Connect);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let answer = self
            .ask(caller, &what, &request.connection, body.into())
            .await?;
        if !answer.status.is_success() {
            return Err(refusal(&answer));
        }
        let said: ConnectAnswer = if answer.body.is_empty() {
            ConnectAnswer::default()
        } else {
            serde_json::from_slice(&answer.body).map_err(|error| {
                let hub = &request.connection.hub;
                tracing::warn!(hub, %error, "the answer to connect is not valid");
                failed("The event handler gave an answer that is not valid.")
            })?
        };
        Ok(Welcome {
            user: said.user_id.filter(|user| !user.is_empty()),
            groups: said.groups.unwrap_or_default(),
            roles: said.roles,
            subprotocol: said.subprotocol.filter(|name| !name.is_empty()),
            state: answer.state,
        })
    }

    async fn connected(&self, connection: &Connection) {
        let body = Bytes::from_static(b"{}");
        self.tell(SystemEvent::Connected, connection, body).await;
    }

    async fn event(&self, connection: &Connection, event: Event) -> Result<Reply, EventFailure> {
        let Some(caller) = self.first(|webhook| webhook.takes_user(&event.name)) else {
            return Err(EventFailure {
                status: 404,
                message: "There is no handler for this event.".into(),
            });
        };
        let (media_type, body) = match event.payload {
            Payload::Json(json) => (JSON, json.into_inner().into_bytes()),
            Payload::Text(text) if event.is_json => {
                (JSON, text.to_json().into_inner().into_bytes())
            }
            Payload::Text(text) => (TEXT, text.value().clone().into_bytes()),
            Payload::Binary(bytes) => (BINARY, bytes),
        };
        let what = What::User(&event.name, media_type);
        let answer = self.ask(caller, &what, connection, body).await?;
        if !answer.status.is_success() {
            // What it says is for those who run it.
            let status = answer.status.as_u16();
            return Err(failed(&format!("The event handler answered {status}.")));
        }
        let state = answer.state.clone();
        let payload = if answer.body.is_empty() {
            None
        } else {
            Some(payload(answer)?)
        };
        Ok(Reply { payload, state })
    }

    fn is_told_of_ends(&self) -> bool {
        let takes = |webhook: &Webhook| webhook.takes_system(SystemEvent::Disconnected);
        self.first(takes).is_some()
    }

    async fn disconnected(&self, connection: &Connection, reason: &str) {
        let body = serde_json::json!({ "reason": reason }).to_string();
        self.tell(SystemEvent::Disconnected, connection, body.into())
            .await;
    }
}

impl Webhooks {
    fn first(&self, takes: impl Fn(&Webhook) -> bool) -> Option<&Caller> {
        self.callers.iter().find(|caller| takes(&caller.webhook))
    }

    /// Posts an event once: it may have been done also when there is no answer.
    async fn ask(
        &self,
        caller: &Caller,
        what: &What<'_>,
        connection: &Connection,
        body: Bytes,
    ) -> Result<Answer, EventFailure> {
        let post = Post::new(what, connection, &self.keys, &self.origin, body);
        let answer = self.call(caller, connection, &post).await;
        answer.map_err(|error| {
            let hub = &connection.hub;
            tracing::warn!(hub, event = post.name, ?error, "an event was not handled");
            EventFailure {
                status: match error {
                    NoAnswer::Late => 504,
                    NoAnswer::Name => 400,
                    _ => 502,
                },
                message: error.to_string(),
            }
        })
    }

    /// Posts a notice, and again when it did not arrive.
    async fn tell(&self, event: SystemEvent, connection: &Connection, body: Bytes) {
        let Some(caller) = self.first(|webhook| webhook.takes_system(event)) else {
            return;
        };
        let what = What::System(event);
        let post = Post::new(&what, connection, &self.keys, &self.origin, body);
        let mut pauses = PAUSES.into_iter();
        loop {
            let why = match self.call(caller, connection, &post).await {
                Ok(answer) if answer.status.is_success() => return,
                Ok(answer) => format!("it answered {}", answer.status),
                Err(error) => format!("{error:?}"),
            };
            let Some(pause) = pauses.next() else {
                let hub = &connection.hub;
                let event = event.as_str();
                tracing::warn!(hub, event, why, "an event handler was not told");
                return;
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn call(
        &self,
        caller: &Caller,
        connection: &Connection,
        post: &Post,
    ) -> Result<Answer, NoAnswer> {
        caller
            .call(&connection.hub, &self.origin, post, self.bytes_max)
            .await
    }
}

/// What somebody is told whom a handler does not let in.
fn refusal(answer: &Answer) -> EventFailure {
    let status = answer.status;
    let said = String::from_utf8_lossy(&answer.body);
    let mut message: String = said.trim().chars().take(REFUSAL_CHARS_MAX).collect();
    if message.is_empty() {
        message = format!("The event handler answered {}.", status.as_u16());
    }
    // A redirect is not followed, and is no answer.
    let is_refusal = status.is_client_error() || status.is_server_error();
    EventFailure {
        status: if is_refusal { status.as_u16() } else { 502 },
        message,
    }
}

fn failed(message: &str) -> EventFailure {
    EventFailure {
        status: StatusCode::BAD_GATEWAY.as_u16(),
        message: message.into(),
    }
}

/// The data of an answer, by its media type.
fn payload(answer: Answer) -> Result<Payload, EventFailure> {
    let media_type = answer.media_type.as_str();
    if media_type == "application/json" {
        let json = JsonText::parse(answer.body);
        let json =
            json.map_err(|_| failed("The event handler answered JSON that is not valid."))?;
        return Ok(Payload::json(json));
    }
    if media_type.starts_with("text/") {
        let text = String::from_utf8(answer.body.into());
        let text =
            text.map_err(|_| failed("The event handler answered a text that is not UTF-8."))?;
        return Ok(Payload::text(text));
    }
    Ok(Payload::Binary(answer.body))
}

/// Every claim as a list of texts.
fn claims(claims: &Map<String, Value>) -> BTreeMap<&str, Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let several = |value: &Value| match value {
        Value::Array(values) => values.iter().map(text).collect(),
        one => vec![text(one)],
    };
    let claims = claims.iter();
    claims
        .map(|(name, value)| (name.as_str(), several(value)))
        .collect()
}

fn query(query: &str) -> BTreeMap<String, Vec<String>> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        values.entry(decode(name)).or_default().push(decode(value));
    }
    values
}

/// The headers of a request, without the token.
fn headers(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if name != http::header::AUTHORIZATION {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            values.entry(name.as_str()).or_default().push(value);
        }
    }
    values
}
