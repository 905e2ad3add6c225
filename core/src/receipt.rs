//! The receipt that a publisher gets.

use crate::{persistence::Durability, publication::Position};

/// What a publisher hears: where its publication is in its channel, and how safe it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The place of the publication.
    pub position: Position,
    /// Where it was kept before anybody got it.
    pub durability: Durability,
}

impl Receipt {
    /// A publication got this place and was kept so.
    pub fn new(position: Position, durability: Durability) -> Self {
        Self {
            position,
            durability,
        }
    }

    /// A publication got this place and is kept nowhere that its publisher could rely on.
    pub fn delivered(position: Position) -> Self {
        Self::new(position, Durability::Delivered)
    }
}
