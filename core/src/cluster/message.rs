//! Messages of nodes to each other: that they are there, and who is present on them.

use serde::{Deserialize, Serialize};

use super::roster::Offers;
use crate::{identity::NodeId, presence::PresenceChange};

/// One message of a node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GossipMessage {
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
    Changes(Vec<PresenceChange>),
    /// Everybody who is on the node follows. It takes part in this.
    Begin(Option<Offers>),
    /// That was everybody.
    End,
    /// The node that is named, or every node, shall tell of everybody.
    Ask(Option<u64>),
}

impl GossipMessage {
    pub(super) fn from(&self) -> NodeId {
        NodeId(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Channel, ClientId, JsonText,
        presence::{ChangeKind, Gone, Here},
    };

    #[test]
    fn a_change_is_read_as_it_was_written() {
        let room = Channel::new("a \"room\"").unwrap();
        let state = JsonText::parse(r#"{"mood":"über"}"#.into()).unwrap();
        for client in [
            ClientId::number(&42.into()),
            ClientId::new("42").unwrap(),
            ClientId::new("ann").unwrap(),
        ] {
            let here = Here {
                is_attached: true,
                ..Here::default()
            };
            let gone = Gone::to(Some(NodeId(u64::MAX)));
            let message = GossipMessage {
                from: u64::MAX,
                number: 7,
                say: Say::Changes(vec![
                    PresenceChange::here(&room, &client, Some(&state), here),
                    PresenceChange::gone(&room, &client, gone),
                ]),
            };
            let text = serde_json::to_string(&message).unwrap();
            let read: GossipMessage = serde_json::from_str(&text).unwrap();
            assert_eq!((read.from(), read.number), (NodeId(u64::MAX), 7));
            let Say::Changes(changes) = read.say else {
                panic!("{text}");
            };
            assert_eq!(changes[0].what, ChangeKind::Here(here));
            assert_eq!(changes[0].stated(), Some(state.clone()));
            let (channel, read) = changes[0].membership().unwrap();
            assert_eq!((&channel, &read), (&room, &client));
            assert_eq!(read.is_numeric(), client.is_numeric());
            assert_eq!(changes[1].what, ChangeKind::Gone(gone));
        }
    }
}
