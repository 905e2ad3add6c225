//! Presence of clients of the Emitter protocol: who is where, as far as all nodes know.

use std::collections::BTreeMap;

use bytestring::ByteString;
use polywire_core::{
    Channel, ClientId, ConnectionId, Pattern, Space,
    space::{MemberOwner, Presence, RESERVED},
};
use serde::Serialize;

use crate::delivery::username;

/// Levels of a channel, counted from the first, in whose place a wildcard is looked for.
const WILD_LEVELS_MAX: usize = 10;
/// Levels above a channel that are looked at.
const LEVELS_MAX: usize = 23;

/// A connection as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EmitterMember {
    pub(crate) id: ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<ByteString>,
}

/// What the names begin with of the channels on which those are present who are subscribed to wildcards.
const WILD: &str = "emitter/presence/";

/// Where somebody is present who is subscribed to a path: on the channel of that name. A wildcard is no channel: who is
/// there is known by a name that no client can use.
pub(super) fn channel_of(path: &str) -> Option<Channel> {
    let path = if path.is_empty() { "#" } else { path };
    let is_wild = path.split('/').any(|level| level == "+" || level == "#");
    if is_wild {
        return Some(Channel::reserved(&format!("{WILD}{path}")));
    }
    Channel::new(path).ok()
}

/// The channels of those who are subscribed to wildcards that are a path or below it.
pub(super) fn wild_pattern(path: &str) -> Option<Pattern> {
    Pattern::mqtt(&format!("{RESERVED}{WILD}{path}/#")).ok()
}

/// The channel or filter, as clients know it, that a channel of presence stands for.
pub(super) fn path_of(channel: &str) -> &str {
    let wild = channel.strip_prefix(RESERVED);
    wild.and_then(|rest| rest.strip_prefix(WILD))
        .unwrap_or(channel)
}

impl EmitterMember {
    /// It has subscribed to a path, for the first time.
    pub(super) async fn join(&self, space: &Space, path: &str, owner: &MemberOwner) {
        if let Some(channel) = channel_of(path) {
            let state = self.username.as_ref().and_then(username::state);
            space.enter(&channel, &self.id, state, owner).await;
        }
    }

    /// It has left a path.
    pub(super) async fn leave(&self, space: &Space, path: &str) {
        if let Some(channel) = channel_of(path) {
            space.exit(&channel, &self.id).await;
        }
    }
}

/// Everybody whom a message on this channel would reach: those on the channel, whatever their protocol, and those of
/// this protocol who are subscribed to one above it, or by wildcards.
pub(super) fn reached(presence: &Presence, path: &str) -> BTreeMap<ClientId, EmitterMember> {
    let levels: Vec<_> = path.split('/').collect();
    let mut search = Search {
        presence,
        levels: &levels,
        found: BTreeMap::new(),
    };
    search.look(channel_of(path), |_| true);
    search.look(channel_of(""), is_ours);
    search.below(&mut String::with_capacity(path.len()), 0);
    search.found
}

/// True for the id of a connection of this protocol.
fn is_ours(id: &ClientId) -> bool {
    id.as_str().parse::<ConnectionId>().is_ok()
}

struct Search<'s> {
    presence: &'s Presence,
    levels: &'s [&'s str],
    found: BTreeMap<ClientId, EmitterMember>,
}

impl Search<'_> {
    fn look(&mut self, channel: Option<Channel>, is_meant: impl Fn(&ClientId) -> bool) {
        for member in channel
            .iter()
            .flat_map(|channel| self.presence.members(channel))
        {
            if is_meant(&member.client) {
                let username = username::of_state(member.state.as_ref());
                let id = member.client;
                self.found
                    .insert(id.clone(), EmitterMember { id, username });
            }
        }
    }

    /// Looks at every path of one level more than `above`, with the channel's level or a wildcard, and below it.
    fn below(&mut self, above: &mut String, depth: usize) {
        let Some(level) = self.levels.get(depth).filter(|_| depth < LEVELS_MAX) else {
            return;
        };
        let length = above.len();
        let is_wild = *level != "+" && depth < WILD_LEVELS_MAX;
        for level in [Some(*level), is_wild.then_some("+")].into_iter().flatten() {
            if depth > 0 {
                above.push('/');
            }
            above.push_str(level);
            self.look(channel_of(above), is_ours);
            self.below(above, depth + 1);
            above.truncate(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_those_above_and_by_wildcards() {
        let presence = Presence::default();
        let node = polywire_core::NodeId(1);
        let filters = ["a/b", "a", "", "a/+", "+/b", "+", "a/b/c", "b"];
        let ids = filters.map(|filter| {
            let id = ClientId::new(&ConnectionId::next(node).to_string()).unwrap();
            presence.join(&channel_of(filter).unwrap(), &id, &MemberOwner::default());
            id
        });
        let bob = ClientId::new("bob").unwrap();
        presence.join(&channel_of("a").unwrap(), &bob, &MemberOwner::default());
        let reached = |path: &str| {
            let reached = reached(&presence, path);
            let on = filters.iter().zip(&ids);
            let on = on
                .filter(|(_, id)| reached.contains_key(*id))
                .map(|(filter, _)| *filter);
            (on.collect::<Vec<_>>(), reached.contains_key(&bob))
        };
        // No door leads to where those are present who are subscribed to wildcards.
        for filter in ["a/+", "+/b", ""] {
            assert!(channel_of(filter).unwrap().is_reserved());
        }
        assert_eq!(path_of(channel_of("a/+").unwrap().as_str()), "a/+");
        assert_eq!(path_of(channel_of("a/b").unwrap().as_str()), "a/b");
        assert_eq!(reached("a/b").0, ["a/b", "a", "", "a/+", "+/b", "+"]);
        assert_eq!(reached("a/x/y"), (vec!["a", "", "a/+", "+"], false));
        assert_eq!(reached("c"), (vec!["", "+"], false));
        assert_eq!(reached("a"), (vec!["a", "", "+"], true));
        // Deep channels take no longer than they have to.
        assert_eq!(reached(&"a/".repeat(500)).0, ["a", "", "a/+", "+"]);
    }
}
