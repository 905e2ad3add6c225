//! The kind of a publication.

use crate::identity::ClientId;

use super::{JsonText, PresenceSummary};

/// The sort of a publication.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kind {
    /// An ordinary message.
    #[default]
    Message,
    /// A small message that is never stored.
    Signal,
    /// Somebody came, went, or changed state; the payload is empty.
    Presence(PresenceEvent),
    /// Who came and went on a channel with too many members to tell them of each; the payload is empty.
    PresenceSummary(Box<PresenceSummary>),
    /// Something about an earlier message, such as a reaction.
    Action,
    /// Takes back what a channel retains, as an empty retained message of MQTT does. To protocols that retain nothing it is no
    /// message, and it is never stored.
    Clear,
}

impl Kind {
    /// True for notices of presence, one by one or summed up.
    pub fn is_presence(&self) -> bool {
        matches!(self, Self::Presence(_) | Self::PresenceSummary(_))
    }
}

/// A change in who is present on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceEvent {
    /// What happened.
    pub action: PresenceAction,
    /// To whom; `None` for a connection without an identity.
    pub client: Option<ClientId>,
    /// Members of the channel after the event, as far as this node knows.
    pub occupancy: usize,
    /// The new state, where the event brings one.
    pub state: Option<JsonText>,
}

/// What happened to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PresenceAction {
    /// Came, by connecting.
    Connect,
    /// Went, because the connection ended.
    Disconnect,
    /// Came, by subscribing.
    Join,
    /// Went, by unsubscribing.
    Leave,
    /// Went, because no sign of life came in time.
    Timeout,
    /// Changed its state.
    StateChange,
}
