//! What nodes tell each other about who is present.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    channel::Channel,
    identity::{ClientId, NodeId},
    publication::JsonText,
    space::nodes::Offers,
};

/// One message of a node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) from: u64,
    /// Counts the messages of the node from 1, so that the others see when one is missing.
    pub(super) number: u64,
    pub(super) say: Say,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Say {
    /// The node is there, and takes part in this; in nothing any more when it stops, while its clients still are
    /// there.
    Alive(Option<Offers>),
    /// In the order in which they happened.
    Changes(Vec<Change>),
    /// Everybody who is on the node follows. It takes part in this.
    Begin(Option<Offers>),
    /// That was everybody.
    End,
    /// The node that is named, or every node, shall tell of everybody.
    Ask(Option<u64>),
}

/// A client came to the node, or went, or says something else about itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) what: What,
    channel: String,
    client: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<JsonText>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Here,
    /// It is not on the node any more.
    Gone {
        /// The node knew of no other node that it is on, and told the members.
        is_last: bool,
    },
    /// It is to be on no node any more.
    Left,
    State,
}

impl Change {
    pub(super) fn here(channel: &Channel, client: &ClientId, state: Option<&JsonText>) -> Self {
        Self::new(What::Here, channel, client, state)
    }

    pub(super) fn gone(channel: &Channel, client: &ClientId, is_last: bool) -> Self {
        Self::new(What::Gone { is_last }, channel, client, None)
    }

    pub(super) fn left(channel: &Channel, client: &ClientId) -> Self {
        Self::new(What::Left, channel, client, None)
    }

    pub(super) fn state(channel: &Channel, client: &ClientId, state: Option<&JsonText>) -> Self {
        Self::new(What::State, channel, client, state)
    }

    fn new(what: What, channel: &Channel, client: &ClientId, state: Option<&JsonText>) -> Self {
        Self {
            what,
            channel: channel.as_str().to_owned(),
            // Keeps whether the client wrote a number.
            client: serde_json::to_value(client).unwrap_or_default(),
            state: state.cloned(),
        }
    }

    /// Bytes that it takes in a message, about.
    pub(super) fn bytes(&self) -> usize {
        let client = self.client.as_str().map_or(20, str::len);
        let state = self.state.as_ref().map_or(0, |state| state.as_str().len());
        60 + self.channel.len() + client + state
    }

    pub(super) fn place(&self) -> Option<(Channel, ClientId)> {
        let client = match &self.client {
            Value::Number(number) => ClientId::number(number),
            Value::String(text) => ClientId::new(text).ok()?,
            _ => return None,
        };
        Some((Channel::new(&self.channel).ok()?, client))
    }

    pub(super) fn stated(&self) -> Option<JsonText> {
        self.state.clone()
    }
}

impl Message {
    pub(super) fn from(&self) -> NodeId {
        NodeId(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_was_written() {
        let room = Channel::new("a \"room\"").unwrap();
        let state = JsonText::parse(r#"{"mood":"über"}"#.into()).unwrap();
        for client in [
            ClientId::number(&42.into()),
            ClientId::new("42").unwrap(),
            ClientId::new("ann").unwrap(),
        ] {
            let message = Message {
                from: u64::MAX,
                number: 7,
                say: Say::Changes(vec![
                    Change::here(&room, &client, Some(&state)),
                    Change::gone(&room, &client, true),
                ]),
            };
            let text = serde_json::to_string(&message).unwrap();
            let read: Message = serde_json::from_str(&text).unwrap();
            assert_eq!((read.from(), read.number), (NodeId(u64::MAX), 7));
            let Say::Changes(changes) = read.say else {
                panic!("{text}");
            };
            assert_eq!(changes[0].what, What::Here);
            assert_eq!(changes[0].stated(), Some(state.clone()));
            let (channel, read) = changes[0].place().unwrap();
            assert_eq!((&channel, &read), (&room, &client));
            assert_eq!(read.is_numeric(), client.is_numeric());
            assert_eq!(changes[1].what, What::Gone { is_last: true });
        }
    }
}
