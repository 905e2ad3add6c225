//! Names of hubs and groups, and the channels that they are.

use std::{borrow::Cow, sync::Arc};

use polywire_core::{Channel, Domain, Grant, Identity, Permissions, Scope, space::RESERVED};

/// The name of the app.
pub(crate) const NAME: &str = "webpubsub";

/// What a name of a group is not.
pub(crate) const BAD_GROUP: &str = "The name of a group has 1 to 1024 characters, not all of them white space, without U+0000, and is not one of the server's own.";

/// Bytes of a group's name: four for each of its 1,024 characters at most.
const GROUP_CHARS_MAX: usize = 1024;

/// The name of a hub, in lower case: names of hubs are compared without it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HubName {
    name: Arc<str>,
    /// Whose names its groups have: those of the common space for the hub whose groups are channels as they are.
    domain: Domain,
}

impl HubName {
    /// A hub; `None` for what cannot be the name of one.
    pub(crate) fn new(name: &str, default: &str) -> Option<Self> {
        let mut chars = name.chars();
        let first = chars.next()?;
        let good = |c: char| c.is_ascii_alphanumeric() || "_`,.[]".contains(c);
        if !first.is_ascii_alphabetic() || !chars.all(good) || name.len() > 128 {
            return None;
        }
        let name = name.to_ascii_lowercase();
        let domain = if name.eq_ignore_ascii_case(default) {
            Domain::COMMON
        } else {
            Domain::new(NAME, &name)
        };
        Some(Self {
            name: name.into(),
            domain,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The channel of a group; `None` for what cannot be the name of one. Who uses it is asked for, as it may be that of
    /// another hub.
    pub(crate) fn channel(&self, group: &str) -> Option<Channel> {
        let is_wrong = group.trim().is_empty() || group.contains('\0');
        if is_wrong || group.chars().count() > GROUP_CHARS_MAX {
            return None;
        }
        let channel = Channel::new(&self.domain.resolve(group)).ok()?;
        (!channel.is_reserved()).then_some(channel)
    }

    /// The group that a channel is in this hub.
    pub(crate) fn group<'c>(&self, channel: &'c str) -> Cow<'c, str> {
        match self.domain.unqualify(channel) {
            Some(group) => group.into(),
            // It is one of another domain, which is bridged to that of the hub.
            None => Domain::whole(channel),
        }
    }

    /// Somebody who may do everything in the hub, as its services may, and nothing else.
    pub(crate) fn service(&self) -> Identity {
        Identity {
            grants: vec![Grant::new(Scope::Everything, Permissions::ALL)],
            domain: self.domain.clone(),
            ..Identity::default()
        }
    }

    /// The channel on which the nodes tell each other what is not for a group.
    pub(crate) fn control(&self) -> Option<Channel> {
        Channel::new(&format!("{RESERVED}webpubsub/{}", self.name)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_default_hub_are_channels_as_they_are() {
        let hub = |name| HubName::new(name, "default");
        let (default, chat) = (hub("default").unwrap(), hub("chat").unwrap());
        assert_eq!(default.channel("a/b c").unwrap().as_str(), "a/b c");
        assert_eq!(
            chat.channel("g").unwrap().as_str(),
            "$domain/webpubsub:chat/g"
        );
        assert_eq!(
            (hub("Default"), hub("CHAT")),
            (Some(default.clone()), Some(chat.clone()))
        );
        assert_eq!(
            HubName::new("main", "Main")
                .unwrap()
                .channel("g")
                .unwrap()
                .as_str(),
            "g"
        );
        assert_eq!(default.group("x:g"), "x:g");
        assert_eq!(chat.group("$domain/webpubsub:chat/g"), "g");
        assert_eq!(chat.group("room"), "$domain/common/room");
        for name in ["", "1a", "a b", "a/b", "é", &"x".repeat(129)] {
            assert_eq!(hub(name), None, "{name}");
        }
        for group in [
            "",
            "  ",
            "a\0",
            "$polywire/webpubsub/default",
            &"é".repeat(1025),
        ] {
            assert!(default.channel(group).is_none(), "{group}");
        }
        assert!(default.channel(&"é".repeat(1024)).is_some());
    }
}
