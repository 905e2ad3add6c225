//! Azure Web PubSub: clients with each sort of subprotocol, and without.

use std::net::SocketAddr;

use polywire_testing::peers::azure::{AzureClient, JSON, RELIABLE_JSON, client_path};
use serde_json::json;
use tungstenite::Message;

use crate::{fence::Fence, json::read, names};

const PROTOBUF: &str = "protobuf.webpubsub.azure.v1";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Json,
    Protobuf,
    Simple,
}

pub(crate) struct Client {
    name: &'static str,
    dialect: Dialect,
    client: AzureClient,
}

impl Client {
    fn open(at: SocketAddr, name: &'static str, dialect: Dialect, subprotocol: &str) -> Self {
        // What can be no name of a group is left out.
        let path = client_path(&json!({"sub": "strict", "webpubsub.group": names()}));
        let client = AzureClient::try_open(at, &path, subprotocol, &[]).unwrap();
        let mut client = Self {
            name,
            dialect,
            client,
        };
        match dialect {
            Dialect::Json => {
                assert_eq!(client.client.receive()["event"], "connected");
                client.client.settled();
            }
            Dialect::Protobuf => {
                client.next();
                // A ping, and its answer behind which the groups are joined.
                let ping = Message::binary(&b"\x4a\0"[..]);
                client.client.socket.send(ping).unwrap();
                client.next();
            }
            Dialect::Simple => {}
        }
        client
    }

    pub(crate) fn json(at: SocketAddr) -> Self {
        Self::open(at, "Azure in JSON", Dialect::Json, JSON)
    }

    pub(crate) fn reliable(at: SocketAddr) -> Self {
        Self::open(at, "Azure in reliable JSON", Dialect::Json, RELIABLE_JSON)
    }

    pub(crate) fn protobuf(at: SocketAddr) -> Self {
        Self::open(at, "Azure in protobuf", Dialect::Protobuf, PROTOBUF)
    }

    pub(crate) fn simple(at: SocketAddr) -> Self {
        Self::open(at, "Azure without a subprotocol", Dialect::Simple, "")
    }

    fn next(&mut self) -> Message {
        loop {
            match self.client.socket.read().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message @ (Message::Text(_) | Message::Binary(_)) => return message,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The text that a frame brings, where it brings one.
    fn text_of(&self, message: &Message) -> Option<String> {
        match (self.dialect, message) {
            (Dialect::Json, Message::Text(text)) => {
                let frame = read(text);
                assert!(frame["type"].is_string(), "{frame}");
                frame["data"].as_str().map(str::to_owned)
            }
            (Dialect::Protobuf, Message::Binary(bytes)) => protobuf::text(bytes),
            (Dialect::Simple, Message::Text(text)) => Some(text.as_str().to_owned()),
            (Dialect::Simple, Message::Binary(_)) => None,
            other => panic!("not a frame of the dialect: {:?}", other.1),
        }
    }
}

impl crate::Client for Client {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read_up_to(&mut self, fence: &Fence) {
        loop {
            let message = self.next();
            if self.text_of(&message).as_deref() == Some(&*fence.text()) {
                return;
            }
        }
    }
}

/// The part of protobuf's wire format that messages are written in.
mod protobuf {
    /// A field: its number, and its content where that has a length.
    fn field<'b>(bytes: &mut &'b [u8]) -> (u64, Option<&'b [u8]>) {
        let tag = varint(bytes);
        let content = match tag & 7 {
            0 => {
                varint(bytes);
                None
            }
            2 => {
                let length = usize::try_from(varint(bytes)).unwrap();
                let (content, rest) = bytes.split_at_checked(length).expect("a field is cut");
                *bytes = rest;
                Some(content)
            }
            other => panic!("wire type {other}"),
        };
        (tag >> 3, content)
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = bytes.split_first().expect("a number is cut");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number is too long");
    }

    fn utf8(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).expect("a string is UTF-8")
    }

    /// The text of a `DownstreamMessage` that is a `DataMessage` of text.
    pub(super) fn text(mut bytes: &[u8]) -> Option<String> {
        let mut found = None;
        while !bytes.is_empty() {
            // 2 is a DataMessage, and others are answers.
            if let (2, Some(mut message)) = field(&mut bytes) {
                while !message.is_empty() {
                    match field(&mut message) {
                        (1 | 2, Some(name)) => drop(utf8(name)),
                        (3, Some(mut data)) => {
                            while !data.is_empty() {
                                if let (1, Some(text)) = field(&mut data) {
                                    found = Some(utf8(text));
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        found
    }
}
