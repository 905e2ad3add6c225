//! Grants: rights on some channels, until a time.

use std::time::SystemTime;

use super::{Permissions, Scope};
use crate::{Channel, Pattern};

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

/// What a right is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Resource<'r> {
    /// A channel.
    Channel(&'r Channel),
    /// All channels that a pattern matches.
    Pattern(&'r Pattern),
    /// A group of channels, by its whole name in the space.
    Group(&'r str),
    /// Everything there is.
    Everything,
}

impl Grant {
    /// Rights on some channels that do not end.
    pub fn new(scope: Scope, permissions: Permissions) -> Self {
        Self {
            scope,
            permissions,
            expires_at: None,
        }
    }

    /// True when it gives these rights there, until it ends.
    pub fn covers(&self, permissions: Permissions, resource: Resource<'_>) -> bool {
        self.permissions.contains(permissions)
            && match resource {
                Resource::Channel(channel) => self.scope.covers(channel),
                Resource::Pattern(pattern) => self.scope.covers_pattern(pattern),
                Resource::Group(group) => self.scope.covers_group(group),
                Resource::Everything => self.scope == Scope::Everything,
            }
    }

    /// True when it gives these rights there, now.
    pub fn allows(&self, permissions: Permissions, resource: Resource<'_>) -> bool {
        self.covers(permissions, resource) && !self.has_ended()
    }

    /// True when its end has come. The clock is read only for grants that end.
    pub fn has_ended(&self) -> bool {
        self.expires_at.is_some_and(|end| end <= SystemTime::now())
    }
}
