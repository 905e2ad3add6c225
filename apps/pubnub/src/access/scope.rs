//! Scopes of access tokens: the channels and groups that a token names, with the bits by which it counts rights.

use std::{collections::BTreeMap, sync::Arc};

use polywire_core::{Domain, Pattern, Permissions, ScopeMatcher};
use regex::Regex;

use crate::{keys::shown, names::PRESENCE};

/// Rights, one bit each. Those about clients (get, update, join) mean nothing here.
pub(super) mod bits {
    pub(in crate::access) const READ: u64 = 1;
    pub(in crate::access) const WRITE: u64 = 2;
    pub(in crate::access) const MANAGE: u64 = 4;
    pub(in crate::access) const DELETE: u64 = 8;
}

/// Names with bits: those that are named, and regular expressions.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) exact: BTreeMap<String, u64>,
    pub(super) patterns: Vec<(Regex, u64)>,
}

impl Names {
    fn have(&self, name: &str, bit: u64) -> bool {
        self.exact.get(name).is_some_and(|bits| bits & bit != 0)
            || self
                .patterns
                .iter()
                .any(|(pattern, bits)| bits & bit != 0 && pattern.is_match(name))
    }

    fn bits(&self) -> u64 {
        let exact = self.exact.values().copied();
        let patterns = self.patterns.iter().map(|(_, bits)| *bits);
        exact.chain(patterns).fold(0, |all, bits| all | bits)
    }
}

/// The channels and groups of a token, as the clients of its domain call them.
#[derive(Debug)]
pub(super) struct TokenNames {
    pub(super) domain: Domain,
    pub(super) channels: Names,
    pub(super) groups: Names,
}

/// What a token covers with one right.
#[derive(Debug)]
struct TokenScope {
    names: Arc<TokenNames>,
    bit: u64,
    /// Who is on what a wildcard matches has a name of its own: `a.*-pnpres`.
    suffix: &'static str,
}

impl ScopeMatcher for TokenScope {
    fn covers(&self, channel: &str) -> bool {
        let names = &self.names;
        names
            .channels
            .have(&shown(&names.domain, channel), self.bit)
    }

    /// A wildcard is a name of its own, as at the vendor's.
    fn covers_pattern(&self, pattern: &Pattern) -> bool {
        if pattern.separator() != '.' {
            return false;
        }
        let (names, begins) = (&self.names, pattern.begins());
        let wildcard = format!("{}*{}", shown(&names.domain, &begins), self.suffix);
        Pattern::pubnub(&format!("{begins}*")).as_ref() == Ok(pattern)
            && names.channels.have(&wildcard, self.bit)
    }

    fn covers_group(&self, group: &str) -> bool {
        let names = &self.names;
        names.groups.have(&shown(&names.domain, group), self.bit)
    }
}

/// The rights that a token gives, each with what it covers. Whoever may read may read what was published before, and see
/// who is there.
pub(super) fn scopes(names: &Arc<TokenNames>) -> Vec<(Permissions, Arc<dyn ScopeMatcher>)> {
    let all = names.channels.bits() | names.groups.bits();
    let rights = [
        (bits::READ, "", Permissions::READ | Permissions::HISTORY),
        (bits::READ, PRESENCE, Permissions::PRESENCE),
        (bits::WRITE, "", Permissions::WRITE),
        (bits::MANAGE, "", Permissions::MANAGE),
        (bits::DELETE, "", Permissions::DELETE),
    ];
    let given = rights.into_iter().filter(|(bit, _, _)| all & bit != 0);
    let scope = |(bit, suffix, permissions)| {
        let names = names.clone();
        let scope: Arc<dyn ScopeMatcher> = Arc::new(TokenScope { names, bit, suffix });
        (permissions, scope)
    };
    given.map(scope).collect()
}
