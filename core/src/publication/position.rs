//! Positions: the place of a publication in its channel and in time.

/// The number of a publication in its channel, dense: a hole means loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Seq(pub u64);

/// Changes when the continuity of a channel is lost; a [`Seq`] means nothing without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

/// Time in units of 100 ns since 1970-01-01 UTC, strictly increasing on a node and never equal for
/// two publications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timetoken(pub u64);

/// The place of a publication in its channel and in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// The life of the channel that `seq` counts in.
    pub epoch: Epoch,
    /// The number in the channel.
    pub seq: Seq,
    /// The time.
    pub timetoken: Timetoken,
}
