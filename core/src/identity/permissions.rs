//! Permissions: sets of rights.

use std::{
    fmt,
    ops::{BitAnd, BitOr},
};

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
    /// See who is there, and say something of oneself there.
    pub const PRESENCE: Self = Self(4);
    /// Read stored publications.
    pub const HISTORY: Self = Self(8);
    /// Change groups of channels and grants; look into the server.
    pub const MANAGE: Self = Self(16);
    /// Delete stored publications.
    pub const DELETE: Self = Self(32);
    /// Everything.
    pub const ALL: Self = Self(63);

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

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
            (Self::DELETE, "delete"),
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
