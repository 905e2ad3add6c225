//! Names of keys and channels in Redis.

use std::sync::Arc;

use polywire_core::{Channel, ClientId, Interest, Level, NodeId, Pattern, Target};

/// Makes Redis names: `{prefix}channel:{name}` and `{prefix}client:{id}` for messages,
/// `{prefix}heartbeat:{node}` for what a node publishes to itself, `{prefix}place:…` for the place of the last publication
/// of a channel, `{prefix}window:…` for those of the last minute, `{prefix}timetoken` for the last time, `{prefix}listed`
/// for channels that were silent for a minute, and, where history is kept, `{prefix}history:…` for a stream of publications and `{prefix}annotations:…` and
/// `{prefix}annotated:…` for what is attached to them.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: Arc<str>,
}

/// What to subscribe to for an interest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subscription {
    Channel(String),
    Glob(String),
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// The Redis channel of a target.
    pub(super) fn channel(&self, target: &Target) -> String {
        let (sort, name) = parts(target);
        format!("{}{sort}:{name}", self.prefix)
    }

    /// The Redis channel on which a node hears itself.
    pub(super) fn heartbeat(&self, node: NodeId) -> String {
        format!("{}heartbeat:{:016x}", self.prefix, node.0)
    }

    /// The key of a target's last place.
    pub(super) fn place(&self, target: &Target) -> String {
        let (sort, name) = parts(target);
        format!("{}place:{sort}:{name}", self.prefix)
    }

    /// The key of what was published to a target in the last minute.
    pub(super) fn window(&self, target: &Target) -> String {
        let (sort, name) = parts(target);
        format!("{}window:{sort}:{name}", self.prefix)
    }

    /// The key of the list of channels that were silent for a minute before their last publication.
    pub(super) fn listed(&self) -> String {
        format!("{}listed", self.prefix)
    }

    /// The target of which this is the Redis channel.
    pub(super) fn target_of(&self, channel: &str) -> Option<Target> {
        target(channel.strip_prefix(&*self.prefix)?)
    }

    /// The key of what is kept of a target.
    pub(super) fn stream(&self, target: &Target) -> String {
        let (sort, name) = parts(target);
        format!("{}history:{sort}:{name}", self.prefix)
    }

    /// The key of the order of a target's annotations.
    pub(super) fn annotated(&self, target: &Target) -> String {
        let (sort, name) = parts(target);
        format!("{}annotated:{sort}:{name}", self.prefix)
    }

    /// The key of a target's annotations.
    pub(super) fn annotations(&self, target: &Target) -> String {
        let (sort, name) = parts(target);
        format!("{}annotations:{sort}:{name}", self.prefix)
    }

    /// A glob for the keys of all streams.
    pub(super) fn streams(&self) -> String {
        let mut glob = String::new();
        escape(&mut glob, &format!("{}history:", self.prefix));
        glob + "*"
    }

    /// The target of which this is the key of the stream.
    pub(super) fn target(&self, stream: &str) -> Option<Target> {
        let rest = stream.strip_prefix(&*self.prefix)?;
        target(rest.strip_prefix("history:")?)
    }

    /// The key of the last timetoken of all.
    pub(super) fn timetoken(&self) -> String {
        format!("{}timetoken", self.prefix)
    }

    pub(super) fn subscription(&self, interest: &Interest) -> Subscription {
        match interest {
            Interest::Channel(channel) => {
                Subscription::Channel(self.channel(&channel.clone().into()))
            }
            Interest::Client(client) => Subscription::Channel(self.channel(&client.clone().into())),
            Interest::Pattern(pattern) => Subscription::Glob(self.glob(pattern)),
        }
    }

    /// A glob that matches at least the channels that the pattern matches. Redis knows no levels: what
    /// comes in addition is sorted out by the hub.
    fn glob(&self, pattern: &Pattern) -> String {
        let mut glob = String::new();
        escape(&mut glob, &format!("{}channel:", self.prefix));
        for (index, level) in pattern.levels().iter().enumerate() {
            // `a/#` matches `a` too, without the separator.
            if index > 0 && *level != Level::Rest {
                escape(&mut glob, pattern.separator().encode_utf8(&mut [0; 4]));
            }
            match level {
                Level::Literal(text) => escape(&mut glob, text),
                Level::One | Level::Rest if glob.ends_with('*') && !glob.ends_with("\\*") => {}
                Level::One | Level::Rest => glob.push('*'),
            }
        }
        glob
    }
}

/// The target that was written as its sort and its name.
fn target(written: &str) -> Option<Target> {
    match written.split_once(':')? {
        ("channel", name) => Some(Channel::new(name).ok()?.into()),
        ("client", name) => Some(ClientId::new(name).ok()?.into()),
        _ => None,
    }
}

fn parts(target: &Target) -> (&'static str, &str) {
    match target {
        Target::Channel(channel) => ("channel", channel.as_str()),
        Target::Client(client) => ("client", client.as_str()),
    }
}

fn escape(glob: &mut String, text: &str) {
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            glob.push('\\');
        }
        glob.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(prefix: &str, filter: &str) -> String {
        Names::new(prefix).glob(&Pattern::mqtt(filter).unwrap())
    }

    #[test]
    fn a_glob_is_wide_enough_and_takes_names_literally() {
        assert_eq!(glob("p:", "#"), "p:channel:*");
        assert_eq!(glob("p:", "a/+/b"), "p:channel:a/*/b");
        assert_eq!(glob("p:", "a/#"), "p:channel:a*");
        assert_eq!(glob("p:", "a/+/#"), "p:channel:a/*");
        assert_eq!(glob("*:", "a[b]?\\"), "\\*:channel:a\\[b\\]\\?\\\\");
        // A star that is part of a name is not one of the pattern.
        assert_eq!(glob("", "a*/#"), "channel:a\\**");
    }
}
