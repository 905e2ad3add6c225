//! Domains: tenants of the channel space, each with names of its own.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::channel::Channel;

/// What the names of channels begin with that belong to a domain: `$domain/pubnub:sub-c-2/room`.
pub const DOMAIN: &str = "$domain/";

/// What cannot stand in the name of a domain as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b'/').add(b'%').add(b'+').add(b'#').add(b' ');

/// A tenant of the channel space, such as a key set of PubNub or a hub of Azure Web PubSub; or the common space, which is
/// the default and has all names that no domain has.
///
/// Whoever is of one domain can name nothing of another, unless the configuration [bridges](crate::Builder::bridge) them.
/// The names of a domain begin with [`DOMAIN`] and its own name, so that no name of the common space is one of them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Domain(Option<Arc<str>>);

impl Domain {
    /// The common space.
    pub const COMMON: Self = Self(None);

    /// The domain of this name among those of an app.
    pub fn new(app: &str, name: &str) -> Self {
        let name = utf8_percent_encode(name, ENCODED);
        Self(Some(format!("{DOMAIN}{app}:{name}/").into()))
    }

    /// True for the common space.
    pub fn is_common(&self) -> bool {
        self.0.is_none()
    }

    /// What its names begin with; nothing for the common space.
    pub fn prefix(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The name in the space of what is called `name` in this domain.
    pub fn qualify<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match &self.0 {
            None => name.into(),
            Some(prefix) => [prefix, name].concat().into(),
        }
    }

    /// The name in the space of what a client of this domain calls `written`: a whole name, as it needs for those of a
    /// domain that is bridged to its own, or one of this domain. Names of the common space are whole behind
    /// `$domain/common/`.
    pub fn resolve<'n>(&self, written: &'n str) -> Cow<'n, str> {
        match written.strip_prefix(DOMAIN) {
            Some(rest) => rest.strip_prefix("common/").unwrap_or(written).into(),
            None => self.qualify(written),
        }
    }

    /// What a name of the space is called in this domain; none for a name of another.
    pub fn unqualify<'n>(&self, name: &'n str) -> Option<&'n str> {
        match &self.0 {
            None => (!name.starts_with(DOMAIN)).then_some(name),
            Some(prefix) => name.strip_prefix(&**prefix),
        }
    }

    /// The whole name of a channel, as clients of other domains write it: see [`resolve`](Self::resolve).
    pub fn whole(channel: &str) -> Cow<'_, str> {
        match Self::COMMON.unqualify(channel) {
            Some(name) => format!("{DOMAIN}common/{name}").into(),
            None => channel.into(),
        }
    }

    /// True when a channel is one of this domain.
    pub fn owns(&self, channel: &Channel) -> bool {
        self.unqualify(channel.as_str()).is_some()
    }
}

/// The text is not the name of a domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no domain: write `common`, or an app and a name such as `pubnub:sub-c-2`")]
pub struct InvalidDomain(String);

impl FromStr for Domain {
    type Err = InvalidDomain;

    /// `common`, or the app and the name: `pubnub:sub-c-2`.
    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        if text == "common" {
            return Ok(Self::COMMON);
        }
        match text.split_once(':') {
            Some((app, name)) if !app.is_empty() && !name.is_empty() => Ok(Self::new(app, name)),
            _ => Err(InvalidDomain(text.to_owned())),
        }
    }
}

impl fmt::Display for Domain {
    /// `common`, or the app and the name: `pubnub:sub-c-2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.prefix().trim_start_matches(DOMAIN);
        let name = name.strip_suffix('/').unwrap_or("common");
        f.write_str(name)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_one_domain_only() {
        let (one, other) = (Domain::new("pubnub", "s2"), Domain::new("pubnub", "s2/x"));
        assert_eq!(one.qualify("room"), "$domain/pubnub:s2/room");
        assert_eq!(other.qualify("room"), "$domain/pubnub:s2%2Fx/room");
        assert_eq!(one.unqualify("$domain/pubnub:s2/room"), Some("room"));
        for name in ["x/room", "room"] {
            let channel = Channel::new(&one.qualify(name)).unwrap();
            assert!(one.owns(&channel) && !other.owns(&channel));
            assert!(!Domain::COMMON.owns(&channel));
        }
        assert_eq!(Domain::COMMON.unqualify("room"), Some("room"));
        assert_eq!(Domain::COMMON.unqualify("$domain/anything"), None);
        assert_eq!(one.resolve("room"), "$domain/pubnub:s2/room");
        assert_eq!(one.resolve("$domain/common/room"), "room");
        assert_eq!(
            one.resolve("$domain/webpubsub:chat/room"),
            "$domain/webpubsub:chat/room"
        );
        assert_eq!(Domain::COMMON.resolve("room"), "room");
        assert_eq!(one.to_string(), "pubnub:s2");
        assert_eq!("pubnub:s2".parse(), Ok(one));
        assert_eq!("common".parse(), Ok(Domain::COMMON));
        assert!("pubnub".parse::<Domain>().is_err() && ":x".parse::<Domain>().is_err());
        assert_eq!(Domain::COMMON.to_string(), "common");
    }
}
