//! What a poll asks for.

use std::{borrow::Cow, sync::Arc};

use polywire_core::Channel;

use crate::{
    access::Resource,
    keys::{KeySet, KeySets},
    text::decode,
};

/// What a name ends in that stands for who is there.
pub(crate) const PRESENCE: &str = "-pnpres";

/// Everything that one poll asks for.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    /// In the order in which a message that several of them match is ascribed: channels, groups, patterns.
    pub(crate) names: Vec<Wanted>,
}

/// One name of a poll.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Where it leads.
    pub(crate) at: At,
    /// Who is there, and not what is said.
    pub(crate) presence: bool,
    /// The name as the client wrote it.
    pub(crate) shown: Arc<str>,
}

/// Where a name leads in the channel space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// A channel.
    Channel(Channel),
    /// A group of channels.
    Group(Arc<str>),
    /// All channels that are this, a dot, and one more level.
    Below(Arc<str>),
}

/// Why names are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadName {
    /// It is not UTF-8.
    Encoding,
    /// It is another tenant's, or empty.
    Invalid,
}

impl Subject {
    /// Reads the channels of a path and the groups of a query.
    pub(crate) fn parse(
        keys: &KeySets,
        set: &KeySet,
        channels: &str,
        groups: &str,
    ) -> Result<Self, BadName> {
        let mut names = Vec::with_capacity(1);
        for name in path_names(channels) {
            names.push(Wanted::channel(keys, set, &name?)?);
        }
        for name in groups.split(',').filter(|name| !name.is_empty()) {
            names.push(Wanted::group(set, name));
        }
        // A message that several match is ascribed to the first: to a channel before a group before a pattern.
        names.sort_by_key(|wanted| match wanted.at {
            At::Channel(_) => 0,
            At::Group(_) => 1,
            At::Below(_) => 2,
        });
        Ok(Self { names })
    }
}

impl Wanted {
    /// What somebody who reads it must have a right to.
    pub(crate) fn resource(&self) -> Resource<'_> {
        match self.at {
            At::Group(_) => Resource::Group(&self.shown),
            At::Channel(_) | At::Below(_) => Resource::Channel(&self.shown),
        }
    }

    fn channel(keys: &KeySets, set: &KeySet, name: &str) -> Result<Self, BadName> {
        let (base, presence) = split(name);
        let at = match pattern(base) {
            // Of whom a pattern is, its first level says.
            Some(above) => keys
                .channel(set, base)
                .map(|_| At::Below(set.qualify(above).into())),
            None => keys.channel(set, base).map(At::Channel),
        };
        Ok(Self {
            at: at.ok_or(BadName::Invalid)?,
            presence,
            shown: name.into(),
        })
    }

    fn group(set: &KeySet, name: &str) -> Self {
        let (base, presence) = split(name);
        Self {
            at: At::Group(set.qualify(base).into()),
            presence,
            shown: name.into(),
        }
    }
}

/// The name without what marks presence, and whether it was marked.
pub(crate) fn split(name: &str) -> (&str, bool) {
    match name.strip_suffix(PRESENCE) {
        Some(base) if !base.is_empty() => (base, true),
        _ => (name, false),
    }
}

/// What stands above the last level of a channel's name.
pub(crate) fn above(channel: &Channel) -> Option<&str> {
    let (above, _) = channel.as_str().rsplit_once('.')?;
    (!above.is_empty()).then_some(above)
}

/// What stands above the levels that a wildcard matches: `a.b` for `a.b.*`; none for a plain name.
pub(crate) fn pattern(name: &str) -> Option<&str> {
    let above = name.strip_suffix(".*")?;
    let is_pattern = !above.is_empty() && !above.contains('*') && above.split('.').count() <= 2;
    is_pattern.then_some(above)
}

/// The names in a part of a path: split first, decoded afterwards; none in a single comma.
pub(crate) fn path_list(raw: &str) -> Result<Vec<String>, BadName> {
    path_names(raw).map(|name| Ok(name?.into_owned())).collect()
}

fn path_names(raw: &str) -> impl Iterator<Item = Result<Cow<'_, str>, BadName>> {
    let names = raw.split(',').filter(|name| !name.is_empty());
    names.map(|name| decode(name).ok_or(BadName::Encoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(channels: &str, groups: &str) -> Vec<(String, bool, String)> {
        let keys = KeySets::new(Vec::new());
        let subject = Subject::parse(&keys, keys.first(), channels, groups).unwrap();
        let names = subject.names.into_iter().map(|wanted| {
            let at = match wanted.at {
                At::Channel(channel) => channel.to_string(),
                At::Group(group) => format!("group {group}"),
                At::Below(above) => format!("below {above}"),
            };
            (at, wanted.presence, wanted.shown.to_string())
        });
        names.collect()
    }

    fn wanted(at: &str, presence: bool, shown: &str) -> (String, bool, String) {
        (at.into(), presence, shown.into())
    }

    #[test]
    fn names_are_split_before_they_are_decoded() {
        assert_eq!(
            parse("a%2Cb,c%20d-pnpres", ""),
            [
                wanted("a,b", false, "a,b"),
                wanted("c d", true, "c d-pnpres")
            ]
        );
        assert_eq!(
            parse(",", "g,g-pnpres"),
            [
                wanted("group g", false, "g"),
                wanted("group g", true, "g-pnpres")
            ]
        );
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
        let bad = Subject::parse(&keys, keys.first(), "a,%FF", "");
        assert_eq!(bad.unwrap_err(), BadName::Encoding);
    }
}
