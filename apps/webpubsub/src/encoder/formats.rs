//! How publications look to clients.

mod json;
mod protobuf;

use std::sync::Arc;

use bytes::Bytes;
use polywire_core::{
    Kind, Payload, Publication, Target,
    delivery::{Encoder, Message},
};

use crate::{control::Note, dialect::Dialect, names::HubName};

/// The wire formats of one sort of message.
pub(crate) struct Formats {
    json: [Arc<dyn Encoder>; 2],
    protobuf: [Arc<dyn Encoder>; 2],
    /// Clients that chose no subprotocol.
    pub(crate) simple: Arc<dyn Encoder>,
}

impl Formats {
    /// What is sent to a group.
    pub(crate) fn of_groups(hub: &HubName) -> Self {
        let group = |dialect, is_reliable| -> Arc<dyn Encoder> {
            Arc::new(Group {
                hub: hub.clone(),
                dialect,
                is_reliable,
            })
        };
        Self::of(group)
    }

    /// What the server sends.
    pub(crate) fn of_server() -> Self {
        let server = |dialect, is_reliable| -> Arc<dyn Encoder> {
            Arc::new(Server {
                dialect,
                is_reliable,
            })
        };
        Self::of(server)
    }

    fn of(make: impl Fn(Dialect, bool) -> Arc<dyn Encoder>) -> Self {
        let both = |dialect| [false, true].map(|is_reliable| make(dialect, is_reliable));
        Self {
            json: both(Dialect::Json),
            protobuf: both(Dialect::Protobuf),
            simple: Arc::new(Simple),
        }
    }

    /// The format of a subprotocol. That of a reliable one has room for the sequence id of each connection.
    pub(crate) fn spoken(&self, dialect: Dialect, is_reliable: bool) -> &Arc<dyn Encoder> {
        let both = match dialect {
            Dialect::Json => &self.json,
            Dialect::Protobuf => &self.protobuf,
        };
        &both[usize::from(is_reliable)]
    }
}

struct Group {
    hub: HubName,
    dialect: Dialect,
    is_reliable: bool,
}

impl Encoder for Group {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let (Target::Channel(channel), Kind::Message | Kind::Signal) =
            (&publication.target, &publication.kind)
        else {
            return None;
        };
        let group = self.hub.group(channel.as_str());
        let publisher = publication.publisher.as_ref();
        let publisher = publisher.map(|publisher| publisher.as_str());
        let from = From::Group { group, publisher };
        let is_protobuf = is_protobuf(publication);
        Some(message(
            self.dialect,
            self.is_reliable,
            from,
            &publication.payload,
            is_protobuf,
        ))
    }
}

struct Server {
    dialect: Dialect,
    is_reliable: bool,
}

impl Encoder for Server {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let payload = &publication.payload;
        Some(message(
            self.dialect,
            self.is_reliable,
            From::Server,
            payload,
            false,
        ))
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

/// Where a message comes from.
#[derive(Debug, Clone, Copy)]
enum From<'f> {
    Group {
        group: &'f str,
        publisher: Option<&'f str>,
    },
    Server,
}

/// True for bytes that are a protobuf `Any`.
fn is_protobuf(publication: &Publication) -> bool {
    let note = publication.meta.as_ref().and_then(Note::read);
    matches!(publication.payload, Payload::Binary(_)) && note.is_some_and(|note| note.is_protobuf)
}

/// A message in a dialect; without what is around a sequence id where the subprotocol has them.
fn message(
    dialect: Dialect,
    is_reliable: bool,
    from: From<'_>,
    payload: &Payload,
    is_protobuf: bool,
) -> Message {
    match dialect {
        Dialect::Json => {
            let mut text = json::body(from, payload, is_protobuf);
            if !is_reliable {
                text.push('}');
            }
            Message::Text(text.into())
        }
        Dialect::Protobuf => {
            let body = protobuf::message(from, payload, is_protobuf);
            Message::Binary(match is_reliable {
                true => protobuf::body(&body),
                false => protobuf::whole(body),
            })
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

/// A message of the server that is for one connection.
pub(crate) fn server_message(dialect: Dialect, payload: &Payload) -> Message {
    message(dialect, false, From::Server, payload, false)
}

/// The same without what is around the sequence id.
pub(crate) fn server_body(dialect: Dialect, payload: &Payload) -> Bytes {
    match message(dialect, true, From::Server, payload, false) {
        Message::Text(text) => text.into_bytes(),
        Message::Binary(bytes) => bytes,
    }
}
