//! Scopes: the channels and groups that a grant covers.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{Channel, InvalidPattern, Pattern};

/// The channels and groups of channels that a [`Grant`](super::Grant) covers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Scope {
    /// Every channel, and every group.
    Everything,
    /// One channel.
    Channel(Channel),
    /// The channels that match.
    Pattern(Pattern),
    /// What a protocol's own credential covers.
    Matching(Arc<dyn ScopeMatcher>),
}

/// What a credential of a protocol covers that says so in a way of its own, such as regular expressions or digests.
pub trait ScopeMatcher: fmt::Debug + Send + Sync + 'static {
    /// True when a channel is covered, by its whole name in the space.
    fn covers(&self, channel: &str) -> bool;

    /// True when each channel that a pattern matches is covered. Default: none is known to be.
    fn covers_pattern(&self, pattern: &Pattern) -> bool {
        let _ = pattern;
        false
    }

    /// True when a group of channels is covered, by its whole name. Default: none is.
    fn covers_group(&self, group: &str) -> bool {
        let _ = group;
        false
    }
}

impl Scope {
    /// True when `channel` is covered.
    #[inline]
    pub fn covers(&self, channel: &Channel) -> bool {
        match self {
            Self::Everything => true,
            Self::Channel(only) => only == channel,
            Self::Pattern(pattern) => pattern.matches(channel.as_str()),
            Self::Matching(matcher) => matcher.covers(channel.as_str()),
        }
    }

    /// True when every channel that `pattern` matches is covered.
    pub fn covers_pattern(&self, pattern: &Pattern) -> bool {
        match self {
            Self::Everything => true,
            Self::Channel(_) => false,
            Self::Pattern(own) => own.covers(pattern),
            Self::Matching(matcher) => matcher.covers_pattern(pattern),
        }
    }

    /// True when a group of channels is covered.
    pub fn covers_group(&self, group: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Channel(_) | Self::Pattern(_) => false,
            Self::Matching(matcher) => matcher.covers_group(group),
        }
    }
}

impl PartialEq for Scope {
    /// Two of [`Matching`](Self::Matching) are equal when they are the same one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, Self::Everything) => true,
            (Self::Channel(one), Self::Channel(other)) => one == other,
            (Self::Pattern(one), Self::Pattern(other)) => one == other,
            (Self::Matching(one), Self::Matching(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Scope {}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// It has no characters.
    #[error("a channel name must not be empty")]
    Empty,
    /// It looks like a wildcard and is none.
    #[error("{0:?} is no wildcard: {1}")]
    Pattern(String, InvalidPattern),
    /// A star stands where it is no wildcard.
    #[error(
        "{0:?} is no wildcard: write `{prefix}/#` for all names below it, `{prefix}.*` for one more word, or `*` for everything",
        prefix = .0.trim_end_matches(['*', '.', '/'])
    )]
    Star(String),
}

impl FromStr for Scope {
    type Err = InvalidScope;

    /// `*` and `#` are everything, `news/#` and `news/+/de` are wildcards of MQTT, `news.*` one of PubNub; anything else is
    /// the name of a channel.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let invalid = |error| InvalidScope::Pattern(text.to_owned(), error);
        if text == "*" || text == "#" {
            Ok(Self::Everything)
        } else if text.contains(['+', '#']) {
            Pattern::mqtt(text).map(Self::Pattern).map_err(invalid)
        } else if text.ends_with(".*") {
            Pattern::pubnub(text).map(Self::Pattern).map_err(invalid)
        } else if text.ends_with('*') {
            Err(InvalidScope::Star(text.to_owned()))
        } else {
            let channel = Channel::new(text).map_err(|_| InvalidScope::Empty)?;
            Ok(Self::Channel(channel))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(scope: &str, channel: &str) -> bool {
        let scope: Scope = scope.parse().unwrap();
        scope.covers(&Channel::new(channel).unwrap())
    }

    #[test]
    fn texts_are_names_and_wildcards() {
        assert!(covers("room", "room") && !covers("room", "rooms"));
        assert!(covers("news/#", "news/a/b") && !covers("news/#", "newspaper"));
        assert!(covers("news/+", "news/a") && !covers("news/+", "news/a/b"));
        assert!(covers("chat.*", "chat.a") && !covers("chat.*", "chat/a"));
        assert!(covers("*", "any") && covers("#", "$SYS/any"));
        for text in ["", "news*", "a/#/b", "a+", "a.*.*", "a/*"] {
            let problem = text.parse::<Scope>().unwrap_err().to_string();
            assert!(!problem.is_empty(), "{text:?}");
        }
    }
}
