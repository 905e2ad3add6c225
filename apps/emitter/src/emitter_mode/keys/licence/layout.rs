//! The layout of an existing key.

use super::cipher::BYTES;
use crate::{
    clock::now,
    emitter_mode::keys::{
        key::Key,
        permissions::Permissions,
        target::{Digest, Target},
    },
};

/// 2010-01-01, from which existing keys count.
const EPOCH: u64 = 1_262_304_000;
const EXACT: u32 = 1 << 23;

/// A decrypted key: salt (2 bytes), index (2), contract (4), signature (4), path (3), permissions (1), target (4),
/// end (4).
#[derive(Clone, Copy)]
pub(super) struct Layout(pub(super) [u8; BYTES]);

impl Layout {
    fn number(&self, place: std::ops::Range<usize>) -> u32 {
        let bytes = self.0[place].iter();
        bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    pub(super) fn index(&self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    pub(super) fn contract(&self) -> u32 {
        self.number(4..8)
    }

    pub(super) fn signature(&self) -> u32 {
        self.number(8..12)
    }

    pub(super) fn is_master(&self) -> bool {
        self.0[15] == Permissions::MASTER.bits()
    }

    fn expires(&self) -> Option<u64> {
        let end = self.number(20..24);
        (end != 0).then(|| EPOCH + u64::from(end))
    }

    pub(super) fn is_over(&self) -> bool {
        self.expires().is_some_and(|end| now() > end)
    }

    pub(super) fn essence(&self) -> [u8; BYTES - 2] {
        let mut essence = [0; BYTES - 2];
        essence.copy_from_slice(&self.0[2..]);
        essence
    }

    pub(super) fn key(&self) -> Key {
        let path = self.number(12..15);
        Key {
            permissions: Permissions::from_bits(self.0[15]),
            expires: self.expires(),
            target: Target {
                is_exact: path & EXACT != 0,
                fixed: path & !EXACT,
                digest: Digest::Murmur(self.number(16..20)),
            },
        }
    }
}
