//! Resources that rights are about, and the bits by which tokens count rights.

/// Rights, one bit each.
pub(crate) mod bits {
    pub(crate) const READ: u64 = 1;
    pub(crate) const WRITE: u64 = 2;
    pub(crate) const MANAGE: u64 = 4;
    pub(crate) const DELETE: u64 = 8;
}

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'n> {
    Channel(&'n str),
    Group(&'n str),
}
