//! The caller: who asks.

use std::borrow::Cow;

use http::StatusCode;
use polywire_core::{Channel, ClientId, Origin, Refusal, RefusalKind, Space};

use crate::{names::PRESENCE, reply, service};

/// Who asks.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) origin: Origin,
    /// Its credential is a token of the protocol, which names who is somewhere apart from what is said there:
    /// `room-pnpres`.
    pub(super) has_token: bool,
}

impl Caller {
    /// The client, where it is known: the one that its credential proves, or that it says to be.
    pub(crate) fn client(&self) -> Option<&ClientId> {
        self.origin.client.as_ref()
    }

    /// By what name its credential gives the right to get events about who is on a channel.
    pub(crate) fn presence_channel<'c>(&self, channel: &'c Channel) -> Cow<'c, Channel> {
        let own = || Channel::new(&format!("{channel}{PRESENCE}")).ok();
        match self.has_token.then(own).flatten() {
            Some(own) => Cow::Owned(own),
            None => Cow::Borrowed(channel),
        }
    }

    /// The same for the channels of a group.
    pub(crate) fn presence_group<'c>(&self, group: &'c str) -> Cow<'c, str> {
        if self.has_token {
            [group, PRESENCE].concat().into()
        } else {
            group.into()
        }
    }

    /// True when its rights can end while it waits.
    pub(crate) fn rights_can_end(&self) -> bool {
        let identity = &self.origin.identity;
        identity.client.is_some()
            || identity.credential.is_some()
            || identity.issued_at.is_some()
            || identity.ends().next().is_some()
    }

    /// Refuses whoever has shown nothing where more is needed.
    pub(crate) fn check_known(&self) -> Result<(), reply::Refused> {
        if self.origin.identity.grants.is_empty() {
            return Err(denied("Forbidden"));
        }
        Ok(())
    }

    /// Refuses whoever is known to be another client.
    pub(crate) fn check_is(&self, space: &Space, client: &ClientId) -> Result<(), reply::Refused> {
        match space.identify(&self.origin, client.clone()) {
            Ok(own) if own == *client => Ok(()),
            Ok(_) => Err(denied("Forbidden")),
            Err(refusal) => Err(not_identified(&refusal, service::PRESENCE)),
        }
    }
}

pub(super) fn denied(message: &str) -> reply::Refused {
    reply::error(StatusCode::FORBIDDEN, service::ACCESS_MANAGER, message)
}

/// An id that a client cannot have.
pub(super) fn not_identified(refusal: &Refusal, service: &str) -> reply::Refused {
    match refusal.kind {
        RefusalKind::Forbidden => denied("Forbidden"),
        _ => reply::bad_request(service, "Invalid UUID"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use polywire_core::{CredentialId, Domain, Grant, Identity, Permissions, Scope};

    use super::*;

    fn caller(identity: Identity) -> Caller {
        Caller {
            origin: Origin::new("pubnub", identity),
            has_token: false,
        }
    }

    /// Polls of these are known to nobody else, and cost nothing more.
    #[test]
    fn whoever_shows_nothing_has_no_rights_that_end() {
        let everything = || Identity {
            grants: vec![Grant::new(Scope::Everything, Permissions::ALL)],
            domain: Domain::new("pubnub", "s2"),
            ..Identity::default()
        };
        assert!(!caller(Identity::default()).rights_can_end());
        assert!(!caller(everything()).rights_can_end());
        let now = Some(SystemTime::now());
        let mut ending = everything();
        ending.grants[0].expires_at = now;
        for identity in [
            ending,
            Identity {
                client: ClientId::new("ann").ok(),
                ..everything()
            },
            Identity {
                credential: Some(CredentialId::new("t")),
                ..everything()
            },
            Identity {
                issued_at: now,
                ..everything()
            },
        ] {
            assert!(caller(identity).rights_can_end());
        }
    }
}
