//! How publications look to clients.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use polywire_core::{
    Kind, Payload, Publication, Target,
    delivery::{Encoder, Message},
};

use crate::names::HubName;

/// The wire formats of one sort of message.
#[derive(Clone)]
pub(crate) struct Formats {
    /// `json.webpubsub.azure.v1`
    pub(crate) json: Arc<dyn Encoder>,
    /// `json.reliable.webpubsub.azure.v1`, without its end: the sequence id of each connection follows.
    pub(crate) reliable: Arc<dyn Encoder>,
    /// Clients that chose no subprotocol.
    pub(crate) simple: Arc<dyn Encoder>,
}

impl Formats {
    /// What is sent to a group.
    pub(crate) fn of_groups(hub: &HubName) -> Self {
        let json = |end| {
            Arc::new(Group {
                hub: hub.clone(),
                end,
            })
        };
        Self {
            json: json("}"),
            reliable: json(""),
            simple: Arc::new(Simple),
        }
    }

    /// What the server sends.
    pub(crate) fn of_server() -> Self {
        Self {
            json: Arc::new(Server { end: "}" }),
            reliable: Arc::new(Server { end: "" }),
            simple: Arc::new(Simple),
        }
    }
}

struct Group {
    hub: HubName,
    end: &'static str,
}

impl Encoder for Group {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let (Target::Channel(channel), Kind::Message | Kind::Signal) =
            (&publication.target, &publication.kind)
        else {
            return None;
        };
        let mut to = String::with_capacity(publication.payload.len() + 128);
        to.push_str(r#"{"type":"message","from":"group","group":"#);
        push_string(&mut to, self.hub.group(channel.as_str()));
        if let Some(publisher) = &publication.publisher {
            to.push_str(r#","fromUserId":"#);
            push_string(&mut to, publisher.as_str());
        }
        push_data(&mut to, &publication.payload);
        to.push_str(self.end);
        Some(Message::Text(to.into()))
    }
}

struct Server {
    end: &'static str,
}

impl Encoder for Server {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let mut to = String::with_capacity(publication.payload.len() + 64);
        to.push_str(r#"{"type":"message","from":"server""#);
        push_data(&mut to, &publication.payload);
        to.push_str(self.end);
        Some(Message::Text(to.into()))
    }
}

struct Simple;

impl Encoder for Simple {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        match publication.kind {
            Kind::Message | Kind::Signal => Some(plain(&publication.payload)),
            _ => None,
        }
    }
}

/// A payload as it is, for a client that chose no subprotocol.
pub(crate) fn plain(payload: &Payload) -> Message {
    match payload {
        Payload::Text(text) => Message::Text(text.value().clone()),
        Payload::Json(json) => Message::Text(json.as_str().to_owned().into()),
        Payload::Binary(bytes) => Message::Binary(bytes.clone()),
    }
}

/// A server message that is for one connection, without its end.
pub(crate) fn server_message(payload: &Payload) -> String {
    let mut to = String::from(r#"{"type":"message","from":"server""#);
    push_data(&mut to, payload);
    to
}

fn push_string(to: &mut String, text: &str) {
    // A text always has a JSON form.
    to.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// JSON is spliced as it was written.
fn push_data(to: &mut String, payload: &Payload) {
    match payload {
        Payload::Json(json) => {
            to.push_str(r#","dataType":"json","data":"#);
            to.push_str(json.as_str());
        }
        Payload::Text(text) => {
            to.push_str(r#","dataType":"text","data":"#);
            to.push_str(text.to_json().as_str());
        }
        Payload::Binary(bytes) => {
            to.push_str(r#","dataType":"binary","data":""#);
            BASE64_STANDARD.encode_string(bytes, to);
            to.push('"');
        }
    }
}
