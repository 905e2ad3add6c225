//! The publisher that a client is: who others see in what it publishes.

use polywire_core::{ClientId, Identity, Publication};

use crate::codec::message_properties::MessageProperties;

/// What stands between the principal and the client id in the id of a session; it is in no client id.
const BETWEEN: char = '\0';

/// Who a client is.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    /// Its session, as it is known on all nodes: the client id, behind the principal where there is one.
    session: ClientId,
    /// Who others see in what it publishes: whom its credential proves, or else who it says to be.
    id: ClientId,
    is_proven: bool,
}

impl Publisher {
    /// Of a client with this client id and credential.
    pub(crate) fn new(client_id: &ClientId, identity: &Identity) -> Self {
        let proven = identity.client.clone();
        let session = proven.as_ref().and_then(|principal| {
            // Nobody takes over or goes on with a session of somebody else.
            ClientId::new(&format!("{principal}{BETWEEN}{client_id}")).ok()
        });
        Self {
            session: session.unwrap_or_else(|| client_id.clone()),
            is_proven: proven.is_some(),
            id: proven.unwrap_or_else(|| client_id.clone()),
        }
    }

    /// Of a session that was written down.
    pub(crate) fn of_session(session: &str, principal: Option<ClientId>) -> Option<Self> {
        let session = ClientId::new(session).ok()?;
        Some(Self {
            is_proven: principal.is_some(),
            id: principal.unwrap_or_else(|| session.clone()),
            session,
        })
    }

    pub(crate) fn session(&self) -> &ClientId {
        &self.session
    }

    pub(crate) fn id(&self) -> &ClientId {
        &self.id
    }

    /// The client id, where others see somebody in its place who may have several.
    pub(crate) fn hidden_client_id(&self) -> Option<&str> {
        let client_id = self.client_id();
        (self.is_proven && client_id != self.id.as_str()).then_some(client_id)
    }

    /// True when the client published it itself, and not another one that its principal has.
    pub(crate) fn has_published(&self, publication: &Publication) -> bool {
        if publication.publisher.as_ref() != Some(&self.id)
            || publication.is_proven != self.is_proven
        {
            return false;
        }
        if !self.is_proven {
            return true;
        }
        let about = MessageProperties::of(publication);
        let written = about.as_ref().and_then(|about| about.client_id.as_deref());
        written.unwrap_or(self.id.as_str()) == self.client_id()
    }

    fn client_id(&self) -> &str {
        let session = self.session.as_str();
        match session.rsplit_once(BETWEEN) {
            Some((_, client_id)) if self.is_proven => client_id,
            _ => session,
        }
    }
}
