//! A key: what it allows, for which channels, and until when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{permissions::Permissions, target::Target};
use crate::clock::now;

/// A key that is ours, or that an existing licence vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) permissions: Permissions,
    /// The last second since 1970 in which it is valid.
    pub(super) expires: Option<u64>,
    pub(super) target: Target,
}

impl Key {
    /// True when keys of channels below this one may be made with it.
    pub(crate) fn extends(&self, path: &str) -> bool {
        self.permissions.contains(Permissions::EXTEND) && self.target.covers(path)
    }

    /// The last second in which it is valid, where there is one.
    pub(crate) fn ends(&self) -> Option<u32> {
        self.expires
            .map(|end| u32::try_from(end).unwrap_or(u32::MAX))
    }

    /// When it ends.
    pub(super) fn expires_at(&self) -> Option<SystemTime> {
        // A time that cannot be told is that of no clock.
        UNIX_EPOCH.checked_add(Duration::from_secs(self.expires?.checked_add(1)?))
    }

    pub(super) fn is_over(&self) -> bool {
        self.expires.is_some_and(|end| now() > end)
    }
}
