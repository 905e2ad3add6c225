//! Changes in who is present, as nodes tell each other.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{channel::Channel, identity::ClientId, publication::JsonText};

/// A client came to the node, or went, or says something else about itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PresenceChange {
    pub(crate) what: ChangeKind,
    channel: String,
    client: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<JsonText>,
    /// Of a client that is here: a credential proves it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_proven: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeKind {
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

impl PresenceChange {
    pub(crate) fn here(channel: &Channel, client: &ClientId, state: Option<&JsonText>) -> Self {
        Self::new(ChangeKind::Here, channel, client, state)
    }

    /// The same, where a credential proves the client or not.
    pub(crate) fn proven(self, is_proven: bool) -> Self {
        Self { is_proven, ..self }
    }

    pub(crate) fn gone(channel: &Channel, client: &ClientId, is_last: bool) -> Self {
        Self::new(ChangeKind::Gone { is_last }, channel, client, None)
    }

    pub(crate) fn left(channel: &Channel, client: &ClientId) -> Self {
        Self::new(ChangeKind::Left, channel, client, None)
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
            is_proven: false,
        }
    }

    /// Bytes that it takes in a message, about.
    pub(crate) fn bytes(&self) -> usize {
        let client = self.client.as_str().map_or(20, str::len);
        let state = self.state.as_ref().map_or(0, |state| state.as_str().len());
        60 + self.channel.len() + client + state
    }

    pub(crate) fn membership(&self) -> Option<(Channel, ClientId)> {
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
