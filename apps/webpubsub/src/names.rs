//! Names of hubs and groups, and the channels that they are.

use std::sync::Arc;

use polywire_core::{Channel, space::RESERVED};

/// The name of the app.
pub(crate) const NAME: &str = "webpubsub";

/// What a name of a group is not.
pub(crate) const BAD_GROUP: &str = "The name of a group has 1 to 1024 characters, not all of them white space, without U+0000, and is not one of the server's own.";

/// Bytes of a group's name: four for each of its 1,024 characters at most.
const GROUP_CHARS_MAX: usize = 1024;

/// The name of a hub.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HubName {
    name: Arc<str>,
    /// What stands before a group's name in a channel: nothing for the hub whose groups are channels as they are.
    prefix: Arc<str>,
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
        let prefix = if name == default {
            "".into()
        } else {
            format!("{name}:").into()
        };
        Some(Self {
            name: name.into(),
            prefix,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// The channel of a group; `None` for what cannot be the name of one.
    pub(crate) fn channel(&self, group: &str) -> Option<Channel> {
        let is_wrong = group.trim().is_empty() || group.contains('\0');
        if is_wrong || group.chars().count() > GROUP_CHARS_MAX {
            return None;
        }
        let channel = Channel::new(&format!("{}{group}", self.prefix)).ok()?;
        (!channel.is_reserved()).then_some(channel)
    }

    /// The group that a channel is in this hub.
    pub(crate) fn group<'c>(&self, channel: &'c str) -> &'c str {
        channel.strip_prefix(&*self.prefix).unwrap_or(channel)
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
        assert_eq!(chat.channel("g").unwrap().as_str(), "chat:g");
        assert_eq!((default.group("x:g"), chat.group("chat:g")), ("x:g", "g"));
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
