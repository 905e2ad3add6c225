//! The clients that are present on one channel.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{change::Here, elsewhere::Elsewhere, member_slots::MemberSlot};
use crate::{
    identity::{ClientId, Identity, NodeId},
    publication::JsonText,
};

/// Clients in the order of their ids.
///
/// Most channels have one: a tree for it would take several times the memory of everything else that the
/// channel has.
#[derive(Debug)]
pub(super) enum Present {
    Few(Option<(ClientKey, PresenceEntry)>),
    Many(BTreeMap<ClientKey, PresenceEntry>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientKey(pub(super) ClientId);

impl PartialOrd for ClientKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ClientKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

#[derive(Debug, Default)]
pub(super) struct PresenceEntry {
    /// Connections of this node.
    pub(super) attached: u32,
    /// Requests that are under way: they are signs of life.
    pub(super) held: u32,
    /// Signs of life, where it gives any. Boxed: few do.
    pub(super) life: Option<Box<Life>>,
    /// Boxed: few have one, and it is large.
    pub(super) state: Option<Box<JsonText>>,
    /// Its place among those of its owner. Boxed: it is large, and who is on another node has none.
    pub(super) slot: Option<Box<MemberSlot>>,
    /// Other nodes that the client is on.
    pub(super) elsewhere: Elsewhere,
    /// A credential of whoever is here has proven to be this client's, and one of who is on another node.
    pub(super) proven_here: bool,
    pub(super) proven_elsewhere: bool,
    /// This node tells the members when the client is gone from all.
    pub(super) tells: bool,
    /// The node that was to tell them was lost, and which one does is not known yet.
    pub(super) is_orphan: bool,
    pub(super) passing: Passing,
    /// The members were told that it is gone, by a node that did not know of one that it is on.
    pub(super) told_gone: bool,
    /// This node has told them that it came.
    pub(super) told_join: bool,
}

/// Whether it was passed on who tells the members, and the heir has not said yet that it does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing {
    #[default]
    Settled,
    /// By this node: where the heir is lost it is this one's again.
    ByThis,
    ByAnother,
}

/// How a client is on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Away,
    /// By signs of life.
    Alive,
    /// By a connection.
    Attached,
}

/// The signs of life of a client without a connection.
#[derive(Debug)]
pub(super) struct Life {
    /// How long the last one counts.
    pub(super) timeout: Duration,
    /// When it will have counted so long; none when that is past and a connection keeps the client.
    pub(super) expires_at: Option<Instant>,
    /// A look at `expires_at` is due, so that no further one has to be noted.
    pub(super) noted: bool,
    /// What the last one rests on, where that can be taken back: who gave it, without rights.
    pub(super) rests_on: Option<Box<Identity>>,
}

impl PresenceEntry {
    pub(super) fn standing(&self) -> Standing {
        if self.attached > 0 {
            Standing::Attached
        } else if self.gives_signs() {
            Standing::Alive
        } else {
            Standing::Away
        }
    }

    /// True when the client is on this node.
    pub(super) fn is_here(&self) -> bool {
        self.standing() != Standing::Away
    }

    /// True when it gives signs of life on this node.
    pub(super) fn gives_signs(&self) -> bool {
        self.held > 0 || self.expires_at().is_some()
    }

    /// Its signs of life end; requests that are under way count no more.
    pub(super) fn end_signs(&mut self) {
        self.held = 0;
        self.life = None;
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven_here || self.proven_elsewhere
    }

    /// What other nodes are told of it.
    pub(super) fn here(&self) -> Here {
        Here {
            is_attached: self.attached > 0,
            is_proven: self.proven_here,
            tells: self.tells,
        }
    }

    /// True when this node is the first of those that the client is on.
    pub(super) fn is_first(&self, own: NodeId) -> bool {
        self.is_here() && self.elsewhere.first().is_none_or(|first| own < first)
    }

    pub(super) fn expires_at(&self) -> Option<Instant> {
        self.life.as_ref()?.expires_at
    }

    /// A sign of life. Says when to look again, where that is not noted yet.
    pub(super) fn touch(&mut self, now: Instant, timeout: Duration) -> Option<Instant> {
        let end = now + timeout;
        let life = self.life.get_or_insert_with(|| {
            Box::new(Life {
                timeout,
                expires_at: None,
                noted: false,
                rests_on: None,
            })
        });
        // A shorter time may be over before the look that is noted.
        let sooner = timeout < life.timeout;
        life.timeout = timeout;
        life.expires_at = Some(end);
        (!std::mem::replace(&mut life.noted, true) || sooner).then_some(end)
    }
}

impl Default for Present {
    fn default() -> Self {
        Self::Few(None)
    }
}

impl Present {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => usize::from(few.is_some()),
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn get_mut(&mut self, client: &ClientId) -> Option<&mut PresenceEntry> {
        match self {
            Self::Few(Some((key, entry))) if key.0 == *client => Some(entry),
            Self::Few(_) => None,
            Self::Many(many) => many.get_mut(&ClientKey(client.clone())),
        }
    }

    /// The entry of a client, made where there is none.
    pub(super) fn entry(&mut self, client: &ClientId) -> &mut PresenceEntry {
        let is_another = matches!(self, Self::Few(Some((key, _))) if key.0 != *client);
        if is_another && let Self::Few(few) = std::mem::take(self) {
            *self = Self::Many(few.into_iter().collect());
        }
        let key = ClientKey(client.clone());
        match self {
            Self::Few(few) => &mut few.get_or_insert_with(|| (key, PresenceEntry::default())).1,
            Self::Many(many) => many.entry(key).or_default(),
        }
    }

    pub(super) fn remove(&mut self, client: &ClientId) -> Option<PresenceEntry> {
        match self {
            Self::Few(few) => few
                .take_if(|(key, _)| key.0 == *client)
                .map(|(_, entry)| entry),
            Self::Many(many) => many.remove(&ClientKey(client.clone())),
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&ClientId, &mut PresenceEntry)> {
        let (few, many) = match self {
            Self::Few(few) => (few.as_mut(), None),
            Self::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().map(|(key, entry)| (&key.0, entry));
        few.chain(
            many.into_iter()
                .flatten()
                .map(|(key, entry)| (&key.0, entry)),
        )
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ClientId, &PresenceEntry)> {
        let (few, many) = match self {
            Self::Few(few) => (few.as_ref(), None),
            Self::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().map(|(key, entry)| (&key.0, entry));
        few.chain(
            many.into_iter()
                .flatten()
                .map(|(key, entry)| (&key.0, entry)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_many_they_are_in_the_order_of_their_ids() {
        let ids = ["mia", "ann", "zoe"].map(|id| ClientId::new(id).unwrap());
        let mut present = Present::default();
        for (index, id) in ids.iter().enumerate() {
            assert!(present.get_mut(id).is_none() && present.remove(id).is_none());
            for _ in 0..=index {
                present.entry(id).attached += 1;
            }
            assert_eq!(present.len(), index + 1);
        }
        let seen: Vec<_> = present
            .iter()
            .map(|(id, entry)| (id.as_str(), entry.attached))
            .collect();
        assert_eq!(seen, [("ann", 2), ("mia", 1), ("zoe", 3)]);
        assert_eq!(present.remove(&ids[0]).unwrap().attached, 1);
        assert_eq!(present.remove(&ids[1]).unwrap().attached, 2);
        assert_eq!(present.remove(&ids[2]).unwrap().attached, 3);
        assert_eq!((present.len(), present.iter().count()), (0, 0));
        present.entry(&ids[0]).attached = 7;
        assert_eq!(present.get_mut(&ids[0]).unwrap().attached, 7);
        assert!(present.get_mut(&ids[1]).is_none());
    }
}
