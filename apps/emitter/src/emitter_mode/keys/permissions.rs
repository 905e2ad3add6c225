//! Permissions: what a key allows.

use std::ops::{BitAnd, BitOr};

/// A set of permissions, in the bits that existing Emitter keys use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permissions(u8);

impl Permissions {
    /// Make keys and ban them, nothing else.
    pub(crate) const MASTER: Self = Self(1);
    /// Subscribe.
    pub(crate) const READ: Self = Self(2);
    /// Publish.
    pub(crate) const WRITE: Self = Self(4);
    /// Have messages stored.
    pub(crate) const STORE: Self = Self(8);
    /// Read stored messages.
    pub(crate) const LOAD: Self = Self(16);
    /// See who is there.
    pub(crate) const PRESENCE: Self = Self(32);
    /// Make keys of channels below.
    pub(crate) const EXTEND: Self = Self(64);
    /// Reserved.
    pub(crate) const EXECUTE: Self = Self(128);

    const LETTERS: [(char, Self); 7] = [
        ('r', Self::READ),
        ('w', Self::WRITE),
        ('s', Self::STORE),
        ('l', Self::LOAD),
        ('p', Self::PRESENCE),
        ('e', Self::EXTEND),
        ('x', Self::EXECUTE),
    ];

    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// The permissions that letters name; unknown ones name none.
    pub(crate) fn of_letters(letters: &str) -> Self {
        let named = Self::LETTERS
            .iter()
            .filter(|(letter, _)| letters.contains(*letter));
        named.fold(Self(0), |all, (_, one)| all | *one)
    }

    /// True when every permission of `other` is in this set.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without `other`.
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_name_permissions_and_never_the_masters() {
        let all = Permissions::of_letters("rwslpex and others, m");
        assert_eq!(all.bits(), 0xfe);
        assert_eq!(Permissions::of_letters(""), Permissions::from_bits(0));
        assert!(!all.contains(Permissions::MASTER));
        assert!(
            !all.without(Permissions::EXTEND)
                .contains(Permissions::EXTEND)
        );
    }
}
