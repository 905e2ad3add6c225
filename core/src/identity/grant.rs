//! Grants: the rights of an identity.

use std::{
    fmt,
    ops::{BitAnd, BitOr},
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use super::ClientId;
use crate::{Channel, Pattern};

/// A set of rights on channels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Subscribe.
    pub const READ: Self = Self(1);
    /// Publish.
    pub const WRITE: Self = Self(2);
    /// See who is there.
    pub const PRESENCE: Self = Self(4);
    /// Read stored publications.
    pub const HISTORY: Self = Self(8);
    /// Change groups, grants and stored publications; look into the server.
    pub const MANAGE: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);

    /// True when every right of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Permissions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::READ, "read"),
            (Self::WRITE, "write"),
            (Self::PRESENCE, "presence"),
            (Self::HISTORY, "history"),
            (Self::MANAGE, "manage"),
        ];
        f.debug_set()
            .entries(
                names
                    .iter()
                    .filter(|(p, _)| self.contains(*p))
                    .map(|(_, name)| name),
            )
            .finish()
    }
}

/// The channels that a [`Grant`] covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every channel.
    Everything,
    /// One channel.
    Channel(Channel),
    /// The channels that match.
    Pattern(Pattern),
}

impl Scope {
    /// True when `channel` is covered.
    pub fn covers(&self, channel: &Channel) -> bool {
        match self {
            Self::Everything => true,
            Self::Channel(only) => only == channel,
            Self::Pattern(pattern) => pattern.matches(channel.as_str()),
        }
    }
}

/// Rights on some channels, until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The channels.
    pub scope: Scope,
    /// The rights.
    pub permissions: Permissions,
    /// The end, if there is one.
    pub expires_at: Option<SystemTime>,
}

/// Who somebody is, as an [`AuthenticationPolicy`](crate::AuthenticationPolicy) found, and what they may do.
///
/// It is kept on the connection, so that a check costs no call to the policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The client, where the credentials name one.
    pub client: Option<ClientId>,
    /// Rights; one grant that covers an action is enough.
    pub grants: Vec<Grant>,
}

impl Identity {
    /// Nobody in particular, with every right.
    pub fn unrestricted() -> Self {
        Self {
            client: None,
            grants: vec![Grant {
                scope: Scope::Everything,
                permissions: Permissions::ALL,
                expires_at: None,
            }],
        }
    }

    /// [`unrestricted`](Self::unrestricted), one for all who are.
    pub fn anybody() -> Arc<Self> {
        static ANYBODY: LazyLock<Arc<Identity>> =
            LazyLock::new(|| Arc::new(Identity::unrestricted()));
        ANYBODY.clone()
    }

    /// True when a grant that has not expired gives `permissions` on `channel`.
    pub fn allows(&self, permissions: Permissions, channel: &Channel) -> bool {
        self.grants.iter().any(|grant| {
            grant.permissions.contains(permissions)
                && grant.scope.covers(channel)
                // The clock is read only for grants that end.
                && grant.expires_at.is_none_or(|end| SystemTime::now() < end)
        })
    }

    /// True when a grant that has not expired gives `permissions` on every channel.
    pub fn allows_everywhere(&self, permissions: Permissions) -> bool {
        self.grants.iter().any(|grant| {
            grant.permissions.contains(permissions)
                && grant.scope == Scope::Everything
                && grant.expires_at.is_none_or(|end| SystemTime::now() < end)
        })
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
            client: None,
            grants: vec![Grant {
                scope: Scope::Channel(room.clone()),
                permissions: Permissions::READ | Permissions::WRITE,
                expires_at: None,
            }],
        };
        assert!(identity.allows(Permissions::READ, &room));
        assert!(!identity.allows(Permissions::MANAGE, &room));
        assert!(!identity.allows(Permissions::READ, &Channel::new("hall").unwrap()));
        assert!(!identity.allows_everywhere(Permissions::READ));
        identity.grants[0].expires_at = Some(SystemTime::now() - Duration::from_secs(1));
        assert!(!identity.allows(Permissions::READ, &room));
    }
}
