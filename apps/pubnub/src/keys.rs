//! Key sets: the tenants of the app.

use std::{borrow::Cow, fmt};

use polywire_core::{
    Channel, Domain,
    space::{RESERVED, Tenant},
};

use crate::text::quote;

/// The keys of one tenant.
///
/// Channels, groups, presence and history belong to the subscribe key; the publish key only authorises. The channels of
/// the first tenant are those of the common space, so that it shares them with other protocols. Each further tenant is a
/// [`Domain`] of its own, which nobody else can name anything of; see [`common`](Self::common).
#[derive(Clone, PartialEq, Eq)]
pub struct KeySet {
    publish: String,
    subscribe: String,
    /// The subscribe key as JSON.
    quoted: String,
    secret: Option<String>,
    access_manager: bool,
    delete_history: bool,
    members_max: Option<usize>,
    tenant: Option<Tenant>,
    common: Option<bool>,
    domain: Domain,
    /// Its place among all key sets.
    index: usize,
}

impl KeySet {
    /// A tenant with these keys, whom everybody who knows them may use.
    pub fn new(publish: impl Into<String>, subscribe: impl Into<String>) -> Self {
        let subscribe = subscribe.into();
        Self {
            publish: publish.into(),
            quoted: quote(&subscribe),
            subscribe,
            secret: None,
            access_manager: false,
            delete_history: false,
            members_max: None,
            tenant: None,
            common: None,
            domain: Domain::COMMON,
            index: 0,
        }
    }

    /// Sets the secret key: requests that are signed with it are checked, and may grant access.
    #[must_use]
    pub fn secret(mut self, key: impl Into<String>) -> Self {
        self.secret = Some(key.into());
        self
    }

    /// Lets only those in who have an access token, or sign with the secret key. Default: everybody who
    /// knows the keys.
    #[must_use]
    pub fn access_manager(mut self, on: bool) -> Self {
        self.access_manager = on;
        self
    }

    /// Lets messages be deleted from history: by requests that are signed, or with a token that has the right to. Default:
    /// nobody may.
    #[must_use]
    pub fn delete_history(mut self, on: bool) -> Self {
        self.delete_history = on;
        self
    }

    /// Sets how many members its channels have on a node, at most; see
    /// [`KeySetSettings::members_max`](crate::KeySetSettings::members_max).
    #[must_use]
    pub fn members_max(mut self, members: impl Into<Option<usize>>) -> Self {
        self.members_max = members.into();
        self
    }

    /// Sets whether its channels are those of the common space, which all protocols share, or of a domain of its own.
    /// Default: the first key set is in the common space, and no other.
    #[must_use]
    pub fn common(mut self, on: impl Into<Option<bool>>) -> Self {
        self.common = on.into();
        self
    }

    pub(crate) fn secret_key(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// True when somebody needs a token, or the secret key.
    pub(crate) fn has_access_manager(&self) -> bool {
        self.access_manager
    }

    pub(crate) fn publish_key(&self) -> &str {
        &self.publish
    }

    pub(crate) fn subscribe_key(&self) -> &str {
        &self.subscribe
    }

    /// The subscribe key as JSON.
    pub(crate) fn quoted_subscribe_key(&self) -> &str {
        &self.quoted
    }

    /// True when messages may be deleted from history at all.
    pub(crate) fn deletes_history(&self) -> bool {
        self.delete_history
    }

    /// By whom its members are counted.
    pub(crate) fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    /// Whose names are its names.
    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Its place among all key sets.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The name in the space of what this tenant's clients call `name`. Names of other domains are whole names: whether
    /// they may be named the gate decides.
    pub(crate) fn qualify<'n>(&self, name: &'n str) -> Cow<'n, str> {
        self.domain.resolve(name)
    }

    /// What this tenant's clients call a name of the space.
    pub(crate) fn shown<'n>(&self, name: &'n str) -> Cow<'n, str> {
        shown(&self.domain, name)
    }

    /// The channel of the space that this tenant's clients mean; none when it is empty or reserved, or could not be named in
    /// a list.
    pub(crate) fn channel(&self, name: &str) -> Option<Channel> {
        if name.is_empty() || name.contains(',') {
            return None;
        }
        // Those that apps use among themselves are nobody's.
        let channel = Channel::new(&self.qualify(name)).ok()?;
        (!channel.is_reserved()).then_some(channel)
    }

    /// The whole name of the group that this tenant's clients mean; none when it is empty or reserved, or could not be named
    /// in a list.
    pub(crate) fn group<'n>(&self, name: &'n str) -> Option<Cow<'n, str>> {
        let name = self.qualify(name);
        let is_one = !name.is_empty() && !name.contains(['\0', ',']) && !name.starts_with(RESERVED);
        is_one.then_some(name)
    }

    /// True when a channel may be in a group: groups have channels of their own domain only.
    pub(crate) fn owns(&self, channel: &Channel) -> bool {
        self.domain.owns(channel)
    }
}

/// What the clients of a domain call a name of the space.
pub(crate) fn shown<'n>(domain: &Domain, name: &'n str) -> Cow<'n, str> {
    match domain.unqualify(name) {
        Some(own) => own.into(),
        None => Domain::whole(name),
    }
}

impl fmt::Debug for KeySet {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("publish", &self.publish)
            .field("subscribe", &self.subscribe)
            .field("access_manager", &self.access_manager)
            .finish_non_exhaustive()
    }
}

/// All tenants.
#[derive(Debug, Clone)]
pub(crate) struct KeySets {
    sets: Vec<KeySet>,
    is_demo: bool,
}

impl KeySets {
    /// These tenants; without any the vendor's `demo` keys.
    pub(crate) fn new(mut sets: Vec<KeySet>) -> Self {
        let is_demo = sets.is_empty();
        if is_demo {
            sets.push(KeySet::new("demo", "demo"));
        }
        for (index, set) in sets.iter_mut().enumerate() {
            set.index = index;
            if !set.common.unwrap_or(index == 0) {
                set.domain = Domain::new("pubnub", &set.subscribe);
            }
        }
        Self { sets, is_demo }
    }

    /// True when anybody knows the keys.
    pub(crate) fn is_demo(&self) -> bool {
        self.is_demo
    }

    /// Bounds the members of each, where there may be so many in all: several leave room for each other.
    pub(crate) fn bound_members(mut self, all: usize) -> Self {
        let shared = (self.sets.len() > 1).then_some(all.div_ceil(2));
        for set in &mut self.sets {
            set.tenant = set.members_max.or(shared).map(|members_max| Tenant {
                name: set.subscribe.as_str().into(),
                members_max,
            });
        }
        self
    }

    pub(crate) fn first(&self) -> &KeySet {
        // There is always one.
        &self.sets[0]
    }

    pub(crate) fn find(&self, subscribe_key: &str) -> Option<&KeySet> {
        self.sets.iter().find(|set| set.subscribe == subscribe_key)
    }

    pub(crate) fn all(&self) -> &[KeySet] {
        &self.sets
    }

    /// True when the channel may be in the group, by their whole names: both are of one of our domains.
    pub(crate) fn may_be_in(&self, channel: &Channel, group: &str) -> bool {
        let mut sets = self.sets.iter();
        sets.any(|set| set.domain.unqualify(group).is_some() && set.owns(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_nobodys() {
        let keys = KeySets::new(vec![KeySet::new("p1", "s1"), KeySet::new("p2", "s2")]);
        let (one, two) = (keys.find("s1").unwrap(), keys.find("s2").unwrap());
        assert!(one.channel("$polywire/x").is_none() && one.group("$polywire/x").is_none());
        assert!(one.channel("$polywire").is_some());
        let own = two.channel("$polywire/x").unwrap();
        assert!(!own.is_reserved() && two.owns(&own));
    }

    #[test]
    fn tenants_have_names_of_their_own() {
        let keys = KeySets::new(vec![
            KeySet::new("p1", "s1"),
            KeySet::new("p2", "s2"),
            KeySet::new("p3", "s3").common(true),
        ]);
        let (one, two) = (keys.find("s1").unwrap(), keys.find("s2").unwrap());
        let name = |set: &KeySet, name| set.channel(name).map(|channel| channel.to_string());
        assert_eq!(name(one, "room").as_deref(), Some("room"));
        assert_eq!(name(two, "room").as_deref(), Some("$domain/pubnub:s2/room"));
        assert_eq!(name(two, ""), None);
        assert_eq!(two.shown("$domain/pubnub:s2/room"), "room");
        assert_eq!(
            one.shown("$domain/pubnub:s2/room"),
            "$domain/pubnub:s2/room"
        );
        assert!(keys.find("s3").unwrap().domain().is_common());
        let other = Channel::new("$domain/pubnub:s2/room").unwrap();
        assert!(two.owns(&other) && !one.owns(&other));
        assert_eq!(one.channel(other.as_str()), Some(other.clone()));
        assert!(keys.may_be_in(&other, "$domain/pubnub:s2/g"));
        assert!(!keys.may_be_in(&other, "g"));
        assert!(!keys.may_be_in(&Channel::new("room").unwrap(), "$domain/pubnub:s2/g"));
        assert!(keys.find("demo").is_none() && !keys.is_demo());
        assert_eq!(two.shown("room"), "$domain/common/room");
        let common = |set: &KeySet| set.channel("$domain/common/room").unwrap().to_string();
        assert_eq!([common(one), common(two)], ["room", "room"]);
        assert!(two.channel("$domain/common/$polywire/x").is_none());
        assert!(
            two.group("$domain/common/$polywire/x").is_none()
                && two.group("$domain/common/").is_none()
        );
        let apart = KeySets::new(vec![KeySet::new("p1", "s1").common(false)]);
        assert_eq!(apart.first().qualify("room"), "$domain/pubnub:s1/room");
    }

    #[test]
    fn the_demo_keys_are_there_when_no_others_are() {
        let keys = KeySets::new(Vec::new());
        assert!(keys.is_demo());
        assert_eq!(keys.find("demo").unwrap().publish_key(), "demo");
    }
}
