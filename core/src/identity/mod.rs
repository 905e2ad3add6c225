//! Identities: clients, connections, and their rights.

mod client;
mod connection;
mod credential;
mod grant;
mod permissions;
mod rights;
mod scope;

pub use self::{
    client::{ClientId, InvalidClientId},
    connection::{ConnectionId, NodeId},
    credential::CredentialId,
    grant::{Grant, Resource},
    permissions::Permissions,
    rights::Rights,
    scope::{InvalidScope, Scope, ScopeMatcher},
};

use std::time::SystemTime;

use crate::{Channel, Domain};

/// Who somebody is, as an [`AuthenticationPolicy`](crate::AuthenticationPolicy) or a protocol's own credential says, and
/// what they may do.
///
/// It is kept on the connection, so that a check costs no call to the policy. The default is nobody, with no right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The client that the credential proves; none where it names nobody, and then a client may say who it is.
    pub client: Option<ClientId>,
    /// The credential, where it can be told from others.
    pub credential: Option<CredentialId>,
    /// When the credential was issued, where it says so.
    pub issued_at: Option<SystemTime>,
    /// When the credential ends; whoever is connected by it then is sent away.
    pub expires_at: Option<SystemTime>,
    /// Rights; one grant that covers an action is enough.
    pub grants: Vec<Grant>,
    /// Whose names can be named at all: a tenant's, or those that all protocols share.
    pub domain: Domain,
    /// True when a client that says to be somebody else than [`client`](Self::client) is refused. Otherwise it gets the
    /// proven id in place of the claimed one.
    pub refuses_other_ids: bool,
}

impl Identity {
    /// Nobody in particular, with every right.
    pub fn unrestricted() -> Self {
        Self {
            grants: vec![Grant::new(Scope::Everything, Permissions::ALL)],
            ..Self::default()
        }
    }

    /// Who it is, without rights.
    pub(crate) fn without_rights(&self) -> Self {
        Self {
            client: self.client.clone(),
            credential: self.credential.clone(),
            issued_at: self.issued_at,
            ..Self::default()
        }
    }

    /// True when it can be taken back before it ends.
    pub(crate) fn can_be_revoked(&self) -> bool {
        self.client.is_some() || self.credential.is_some() || self.issued_at.is_some()
    }

    /// True when a grant that has not expired gives `permissions` on `resource`.
    pub fn may(&self, permissions: Permissions, resource: Resource<'_>) -> bool {
        let mut grants = self.grants.iter();
        let has_one = match resource {
            // By far the most often asked, for each message: each grant costs a comparison.
            Resource::Channel(channel) => grants.any(|grant| {
                grant.permissions.contains(permissions)
                    && grant.scope.covers(channel)
                    && !grant.has_ended()
            }),
            resource => grants.any(|grant| grant.allows(permissions, resource)),
        };
        has_one && !self.is_expired()
    }

    /// True when a grant that has not expired gives `permissions` on `channel`.
    pub fn allows(&self, permissions: Permissions, channel: &Channel) -> bool {
        self.may(permissions, Resource::Channel(channel))
    }

    /// True when a grant that has not expired gives `permissions` on every channel.
    pub fn allows_everywhere(&self, permissions: Permissions) -> bool {
        self.may(permissions, Resource::Everything)
    }

    /// True when the credential has ended.
    pub fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|end| end <= SystemTime::now())
    }

    /// When the credential and each of the grants end.
    pub fn ends(&self) -> impl Iterator<Item = SystemTime> {
        let grants = self.grants.iter().filter_map(|grant| grant.expires_at);
        grants.chain(self.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_grant_ends_and_covers_only_its_scope() {
        let room = Channel::new("room").unwrap();
        let mut identity = Identity {
            grants: vec![Grant::new(
                Scope::Channel(room.clone()),
                Permissions::READ | Permissions::WRITE,
            )],
            ..Identity::default()
        };
        assert!(identity.allows(Permissions::READ, &room));
        assert!(!identity.allows(Permissions::MANAGE, &room));
        assert!(!identity.allows(Permissions::READ, &Channel::new("hall").unwrap()));
        assert!(!identity.allows_everywhere(Permissions::READ));
        let past = SystemTime::now() - Duration::from_secs(1);
        identity.expires_at = Some(past);
        assert!(!identity.allows(Permissions::READ, &room));
        identity.expires_at = None;
        identity.grants[0].expires_at = Some(past);
        assert!(!identity.allows(Permissions::READ, &room));
        assert_eq!(identity.ends().collect::<Vec<_>>(), [past]);
    }
}
