//! Durability: the meaning of an acknowledgement.

/// Where a publication is when its publisher hears that it was published. Later ones promise more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Delivered to whoever is there. It may be kept somewhere too, but nobody waited for that.
    #[default]
    Delivered,
    /// In the memory of this node: it can be read back while the node runs.
    Memory,
    /// On disk, synced: it survives a crash of the machine.
    Synced,
    /// In a store that several nodes share: it survives the loss of this node, and what the store promises
    /// beyond that.
    Replicated,
}
