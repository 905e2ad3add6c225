//! A fence: a message that every client must get, behind what may be poison.

use polywire_core::{Channel, Draft, Payload};

/// Where they are published.
pub(crate) const CHANNEL: &str = "fence";

/// One of them.
pub(crate) struct Fence(pub(crate) usize);

impl Fence {
    pub(crate) fn text(&self) -> String {
        format!("fence {}", self.0)
    }

    pub(crate) fn draft(&self) -> Draft {
        Draft::new(Channel::new(CHANNEL).unwrap(), Payload::text(self.text()))
    }
}
