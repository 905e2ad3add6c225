//! The subscribe set of a request: channels, channel groups and wildcards, and the presence of each.

use std::sync::Arc;

use polywire_core::{Channel, Pattern, Refusal, Space, space::Action};

use crate::{
    access::Caller,
    keys::KeySet,
    names::{BadName, path_list, pattern, split, split_list},
};

/// Everything that one request names.
#[derive(Debug, Default)]
pub(crate) struct SubscribeSet {
    /// In the order in which a message that several of them match is ascribed: channels, groups, patterns.
    pub(crate) targets: Vec<SubscribeTarget>,
}

/// One name of a request.
#[derive(Debug)]
pub(crate) struct SubscribeTarget {
    /// Where it leads.
    pub(crate) location: Location,
    /// Who is there, and not what is said.
    pub(crate) presence: bool,
    /// The name as the client wrote it.
    pub(crate) shown: Arc<str>,
}

/// Where a name leads in the channel space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A channel.
    Channel(Channel),
    /// A group of channels.
    Group(Arc<str>),
    /// All channels that are this, a dot, and one more level.
    Below(Arc<str>),
}

/// What somebody wants with what a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Get its messages, and be there.
    Subscribe,
    /// See who is there.
    SeePresence,
    /// Say something of a client there.
    SetState,
}

impl SubscribeSet {
    /// Reads the channels of a path and the groups of a query.
    pub(crate) fn parse(set: &KeySet, channels: &str, groups: &str) -> Result<Self, BadName> {
        let mut targets = Vec::with_capacity(1);
        for name in split_list(&path_list(channels)?) {
            targets.push(SubscribeTarget::channel(set, name)?);
        }
        for name in split_list(groups) {
            targets.push(SubscribeTarget::group(set, name)?);
        }
        // A message that several match is ascribed to the first: to a channel before a group before a pattern.
        targets.sort_by_key(|target| match target.location {
            Location::Channel(_) => 0,
            Location::Group(_) => 1,
            Location::Below(_) => 2,
        });
        Ok(Self { targets })
    }
}

impl SubscribeTarget {
    /// Asks the gate whether somebody may do this there.
    pub(crate) fn authorize(
        &self,
        space: &Space,
        caller: &Caller,
        purpose: Purpose,
    ) -> Result<(), Refusal> {
        let ask = |action| space.authorize(&caller.origin, action);
        match &self.location {
            Location::Channel(channel) if self.presence => {
                ask(Action::SeePresence(&caller.presence_channel(channel)))
            }
            Location::Channel(channel) => ask(match purpose {
                Purpose::Subscribe => Action::Subscribe(channel),
                Purpose::SeePresence => Action::SeePresence(channel),
                Purpose::SetState => Action::SetState(channel),
            }),
            Location::Group(group) if self.presence => {
                ask(Action::PresenceOfGroup(&caller.presence_group(group)))
            }
            Location::Group(group) if purpose == Purpose::Subscribe => {
                ask(Action::SubscribeGroup(group))
            }
            Location::Group(group) => ask(Action::PresenceOfGroup(group)),
            Location::Below(above) => {
                let pattern = Pattern::pubnub(&format!("{above}.*"));
                // It was read as one before.
                let pattern = pattern.map_err(|error| Refusal::invalid(error.to_string()))?;
                ask(if self.presence || purpose != Purpose::Subscribe {
                    Action::PresenceOfPattern(&pattern)
                } else {
                    Action::SubscribePattern(&pattern)
                })
            }
        }
    }

    fn channel(set: &KeySet, name: &str) -> Result<Self, BadName> {
        let (base, presence) = split(name);
        let channel = set.channel(base).ok_or(BadName::Invalid)?;
        let location = match pattern(base) {
            Some(above) => {
                let above = set.qualify(above);
                if above.is_empty() {
                    return Err(BadName::Invalid);
                }
                Location::Below(above.into())
            }
            None => Location::Channel(channel),
        };
        Ok(Self {
            location,
            presence,
            shown: name.into(),
        })
    }

    fn group(set: &KeySet, name: &str) -> Result<Self, BadName> {
        let (base, presence) = split(name);
        let group = set.group(base).ok_or(BadName::Invalid)?;
        Ok(Self {
            location: Location::Group(group.into()),
            presence,
            shown: name.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeySets;

    fn parse(channels: &str, groups: &str) -> Vec<(String, bool, String)> {
        let keys = KeySets::new(Vec::new());
        let subscribe_set = SubscribeSet::parse(keys.first(), channels, groups).unwrap();
        let names = subscribe_set.targets.into_iter().map(|target| {
            let at = match target.location {
                Location::Channel(channel) => channel.to_string(),
                Location::Group(group) => format!("group {group}"),
                Location::Below(above) => format!("below {above}"),
            };
            (at, target.presence, target.shown.to_string())
        });
        names.collect()
    }

    fn wanted(at: &str, presence: bool, shown: &str) -> (String, bool, String) {
        (at.into(), presence, shown.into())
    }

    #[test]
    fn commas_separate_names_encoded_or_not() {
        for list in ["a,b%2Fc,c%20d-pnpres", "a%2Cb%2fc%2cc%20d-pnpres"] {
            assert_eq!(
                parse(list, ""),
                [
                    wanted("a", false, "a"),
                    wanted("b/c", false, "b/c"),
                    wanted("c d", true, "c d-pnpres")
                ]
            );
        }
        for none in [",", "%2C", "%2c,"] {
            assert_eq!(
                parse(none, "g,g-pnpres"),
                [
                    wanted("group g", false, "g"),
                    wanted("group g", true, "g-pnpres")
                ]
            );
        }
    }

    #[test]
    fn wildcards_end_in_a_dot_and_a_star() {
        assert_eq!(
            parse("a.%2A,a.*-pnpres,b", ""),
            [
                wanted("b", false, "b"),
                wanted("below a", false, "a.*"),
                wanted("below a", true, "a.*-pnpres"),
            ]
        );
        for plain in ["*", "a*", "a.*.b", ".*", "a.b.c.*", "a.b"] {
            assert_eq!(parse(plain, ""), [wanted(plain, false, plain)]);
        }
    }

    #[test]
    fn presence_is_taken_off_once() {
        assert_eq!(
            parse("x-pnpres-pnpres,-pnpres", ""),
            [
                wanted("x-pnpres", true, "x-pnpres-pnpres"),
                wanted("-pnpres", false, "-pnpres"),
            ]
        );
    }

    #[test]
    fn what_is_not_utf8_is_no_name() {
        let keys = KeySets::new(Vec::new());
        let bad = SubscribeSet::parse(keys.first(), "a,%FF", "");
        assert_eq!(bad.unwrap_err(), BadName::Encoding);
    }
}
