//! The record of a connection that another node takes: all but the messages that are kept.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::SystemTime,
};

use parking_lot::Mutex;
use polywire_core::{ClientId, CredentialId, DrainHold, Identity, Origin, delivery::DelayLine};
use serde::{Deserialize, Serialize};

use crate::{
    ack_ids::AckIds,
    connection::{Connection, Groups, NewConnection},
    encoder::Formats,
    names::{HubName, NAME},
    protocol::Protocol,
    rights::{self, Rights},
};

/// A connection, without the messages that are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConnectionState {
    pub(super) id: String,
    pub(super) hub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    subprotocol: String,
    /// How publications know it.
    connection: String,
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issued_at: Option<SystemTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<SystemTime>,
    delays_answers: bool,
    pub(super) changing: ChangingState,
}

/// What of a connection may change until it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChangingState {
    pub(super) groups: BTreeSet<String>,
    rights: Rights,
    acks: AckIds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

/// What a connection gets from the node that takes it.
pub(super) struct Surroundings {
    pub(super) formats: Arc<Formats>,
    pub(super) ack_delay: Arc<DelayLine>,
    pub(super) hold: DrainHold,
    pub(super) groups_kept: Weak<dyn Groups>,
}

impl ConnectionState {
    /// `None` for a connection that has no subprotocol.
    pub(super) fn of(connection: &Connection) -> Option<Self> {
        let identity = &connection.origin.identity;
        Some(Self {
            id: connection.id.clone(),
            hub: connection.hub.as_str().to_owned(),
            user: connection.user.clone(),
            subprotocol: connection.protocol.subprotocol()?.to_owned(),
            connection: connection.connection.to_string(),
            token: connection.reconnection_token.clone(),
            credential: identity.credential.as_ref().map(ToString::to_string),
            issued_at: identity.issued_at,
            expires_at: identity.expires_at,
            delays_answers: connection.delays_answers(),
            changing: ChangingState::of(connection),
        })
    }

    /// The connection, which is on nothing yet; `None` where it cannot be understood.
    pub(super) fn connection(&self, hub: HubName, around: Surroundings) -> Option<Arc<Connection>> {
        let rights = Arc::new(Mutex::new(self.changing.rights.clone()));
        let user = self.user.as_deref();
        let identity = Identity {
            client: user.and_then(|user| ClientId::new(user).ok()),
            domain: hub.domain().clone(),
            credential: self.credential.as_deref().map(CredentialId::new),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            grants: rights::grants(&rights, &hub),
            ..Identity::default()
        };
        let connection = self.connection.parse().ok()?;
        let mut origin = Origin::new(NAME, identity);
        origin.connection = Some(connection);
        let made = Connection::new(NewConnection {
            id: self.id.clone(),
            formats: around.formats,
            hub,
            user: self.user.clone(),
            protocol: Protocol::named(&self.subprotocol).filter(Protocol::is_reliable)?,
            connection,
            reconnection_token: self.token.clone(),
            origin,
            rights,
            state: self.changing.state.clone(),
            ack_delay: self.delays_answers.then_some(around.ack_delay),
            hold: Some(around.hold),
            groups_kept: around.groups_kept,
        });
        *made.acks.lock() = self.changing.acks.clone();
        Some(made)
    }
}

impl ChangingState {
    pub(super) fn of(connection: &Connection) -> Self {
        Self {
            groups: connection.groups.lock().clone(),
            rights: connection.rights.lock().clone(),
            acks: connection.acks.lock().clone(),
            state: connection.state.lock().clone(),
        }
    }

    /// Sets what has changed since, but for the groups.
    pub(super) fn apply(&self, connection: &Connection) {
        *connection.rights.lock() = self.rights.clone();
        *connection.acks.lock() = self.acks.clone();
        *connection.state.lock() = self.state.clone();
    }
}
