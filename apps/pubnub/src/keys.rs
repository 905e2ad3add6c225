//! Key sets: the tenants of the app.

use std::{borrow::Cow, fmt};

use polywire_core::{Channel, space::Tenant};

use crate::text::quote;

/// The keys of one tenant.
///
/// Channels, groups, presence and history belong to the subscribe key; the publish key only authorises. The
/// first tenant's channels are those of the channel space, so that it shares them with other protocols. The
/// channels of each further tenant have its subscribe key and a colon before their names there.
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
    namespace: String,
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
            namespace: String::new(),
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

    /// The name that a channel, or a group, of this tenant has in the space.
    pub(crate) fn qualify<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.namespace.is_empty() {
            name.into()
        } else {
            [&self.namespace, name].concat().into()
        }
    }

    /// The name that the tenant knows a channel of the space by; none for a channel of somebody else.
    pub(crate) fn unqualify<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(&self.namespace)
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
        for set in sets.iter_mut().skip(1) {
            set.namespace = format!("{}:", set.subscribe);
        }
        let is_demo = sets.is_empty();
        if is_demo {
            sets.push(KeySet::new("demo", "demo"));
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

    /// The channel of the space that a tenant means; none when it is empty, reserved, or another tenant's.
    pub(crate) fn channel(&self, set: &KeySet, name: &str) -> Option<Channel> {
        if set.namespace.is_empty() {
            let mut others = self.sets.iter().filter(|other| !other.namespace.is_empty());
            if others.any(|other| name.starts_with(&other.namespace)) {
                return None;
            }
        }
        if name.is_empty() {
            return None;
        }
        // Those that apps use among themselves are nobody's.
        let channel = Channel::new(&set.qualify(name)).ok()?;
        (!channel.is_reserved()).then_some(channel)
    }

    /// The tenant that a channel of the space belongs to.
    pub(crate) fn owner<'n>(&self, channel: &'n str) -> (&KeySet, &'n str) {
        let mut further = self.sets.iter().skip(1);
        match further.find_map(|set| Some((set, set.unqualify(channel)?))) {
            Some(found) => found,
            None => (self.first(), channel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_nobodys() {
        let keys = KeySets::new(vec![KeySet::new("p1", "s1"), KeySet::new("p2", "s2")]);
        assert!(keys.channel(keys.first(), "$polywire/x").is_none());
        assert!(keys.channel(keys.first(), "$polywire").is_some());
        let second = keys.find("s2").unwrap();
        assert!(keys.channel(second, "$polywire/x").is_some());
    }

    #[test]
    fn tenants_do_not_reach_each_other() {
        let keys = KeySets::new(vec![KeySet::new("p1", "s1"), KeySet::new("p2", "s2")]);
        let (one, two) = (keys.find("s1").unwrap(), keys.find("s2").unwrap());
        let name = |set, name| keys.channel(set, name).map(|channel| channel.to_string());
        assert_eq!(name(one, "room").as_deref(), Some("room"));
        assert_eq!(name(two, "room").as_deref(), Some("s2:room"));
        assert_eq!(name(one, "s2:room"), None);
        assert_eq!(name(two, ""), None);
        assert_eq!(keys.owner("s2:room"), (two, "room"));
        assert_eq!(keys.owner("room"), (one, "room"));
        assert!(keys.find("demo").is_none() && !keys.is_demo());
    }

    #[test]
    fn the_demo_keys_are_there_when_no_others_are() {
        let keys = KeySets::new(Vec::new());
        assert!(keys.is_demo());
        assert_eq!(keys.find("demo").unwrap().publish_key(), "demo");
    }
}
