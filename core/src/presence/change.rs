//! Changes in who is present, as nodes tell each other.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    channel::Channel,
    identity::{ClientId, NodeId},
    publication::JsonText,
};

/// A client on a channel.
pub(crate) type Membership = (Channel, ClientId);

/// A client came to the node, or went, or says something else about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PresenceChange {
    pub(crate) what: ChangeKind,
    channel: String,
    client: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<JsonText>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeKind {
    /// It is on the node, or is there in another way than before.
    Here(Here),
    /// It is not on the node any more.
    Gone(Gone),
    /// Its signs of life end on all nodes.
    Left,
    /// Another node tells the members of it from now on.
    Passed {
        heir: u64,
    },
    State,
}

/// How a client is on a node.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Here {
    /// By a connection, and not only by signs of life.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_attached: bool,
    /// A credential proves who it is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_proven: bool,
    /// The node tells the members when it is gone from all.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) tells: bool,
}

/// How a client has gone from a node.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gone {
    /// The node has told the members that it is gone from all.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) was_told: bool,
    /// The node that tells them from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heir: Option<u64>,
    /// Its signs of life end on all nodes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) has_left: bool,
    /// Another node has told the members so, and ended its signs of life on this one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_echo: bool,
    /// The node that was lost, where it was on that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
}

impl Gone {
    pub(crate) fn told(was_told: bool) -> Self {
        Self {
            was_told,
            ..Self::default()
        }
    }

    pub(crate) fn to(heir: Option<NodeId>) -> Self {
        Self {
            heir: heir.map(|node| node.0),
            ..Self::default()
        }
    }

    /// It was on a node that was lost, of which the members were told.
    pub(crate) fn with(lost: NodeId) -> Self {
        Self {
            was_told: true,
            lost: Some(lost.0),
            ..Self::default()
        }
    }

    pub(crate) fn lost(&self) -> Option<NodeId> {
        self.lost.map(NodeId)
    }

    pub(crate) fn by(self, cause: Cause) -> Self {
        Self {
            has_left: cause == Cause::Left,
            is_echo: cause == Cause::Echo,
            ..self
        }
    }

    pub(crate) fn heir(&self) -> Option<NodeId> {
        self.heir.map(NodeId)
    }
}

/// Why a client goes from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It went by itself, or its time is over.
    Own,
    /// It left: its signs of life end on all nodes.
    Left,
    /// Another node has told the members that it left, and so it ends here.
    Echo,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl PresenceChange {
    pub(crate) fn here(
        channel: &Channel,
        client: &ClientId,
        state: Option<&JsonText>,
        here: Here,
    ) -> Self {
        Self::new(ChangeKind::Here(here), channel, client, state)
    }

    pub(crate) fn gone(channel: &Channel, client: &ClientId, gone: Gone) -> Self {
        Self::new(ChangeKind::Gone(gone), channel, client, None)
    }

    pub(crate) fn left(channel: &Channel, client: &ClientId) -> Self {
        Self::new(ChangeKind::Left, channel, client, None)
    }

    pub(crate) fn passed(channel: &Channel, client: &ClientId, heir: NodeId) -> Self {
        let what = ChangeKind::Passed { heir: heir.0 };
        Self::new(what, channel, client, None)
    }

    pub(crate) fn state(channel: &Channel, client: &ClientId, state: Option<&JsonText>) -> Self {
        Self::new(ChangeKind::State, channel, client, state)
    }

    fn new(
        what: ChangeKind,
        channel: &Channel,
        client: &ClientId,
        state: Option<&JsonText>,
    ) -> Self {
        Self {
            what,
            channel: channel.as_str().to_owned(),
            // Keeps whether the client wrote a number.
            client: serde_json::to_value(client).unwrap_or_default(),
            state: state.cloned(),
        }
    }

    /// Bytes that it takes in a message, about.
    pub(crate) fn bytes(&self) -> usize {
        let client = self.client.as_str().map_or(20, str::len);
        let state = self.state.as_ref().map_or(0, |state| state.as_str().len());
        80 + self.channel.len() + client + state
    }

    pub(crate) fn membership(&self) -> Option<Membership> {
        let client = match &self.client {
            Value::Number(number) => ClientId::number(number),
            Value::String(text) => ClientId::new(text).ok()?,
            _ => return None,
        };
        Some((Channel::new(&self.channel).ok()?, client))
    }

    pub(crate) fn stated(&self) -> Option<JsonText> {
        self.state.clone()
    }
}
