//! The identity of a connection.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

/// One process of the system, drawn at random when the process starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub u64);

impl NodeId {
    /// A new random id.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// One connection of one node. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnectionId {
    /// The node that holds the connection.
    pub node: NodeId,
    /// The number of the connection on its node, counted from 1.
    pub number: u64,
}

impl ConnectionId {
    /// The next unused id of `node`.
    pub fn next(node: NodeId) -> Self {
        // One counter for all nodes of a process (tests run several): the pair stays unique.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            node,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.node.0, self.number)
    }
}

/// The text is not of the form that [`ConnectionId`] is displayed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a connection id")]
pub struct InvalidConnectionId;

impl FromStr for ConnectionId {
    type Err = InvalidConnectionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (node, number) = text.split_once('-').ok_or(InvalidConnectionId)?;
        let parse = |hex| u64::from_str_radix(hex, 16).map_err(|_| InvalidConnectionId);
        Ok(Self {
            node: NodeId(parse(node)?),
            number: parse(number)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_its_text_form() {
        let id = ConnectionId::next(NodeId(0xabc));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("x".parse::<ConnectionId>().is_err());
    }
}
