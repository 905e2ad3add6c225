//! Rights of a connection on groups.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use polywire_core::{Grant, Permissions, Scope, ScopeMatcher};
use serde::{Deserialize, Serialize};

use crate::{names::HubName, wildcard::Wildcard};

/// A right on groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Right {
    JoinLeave,
    Send,
}

/// On which groups a connection has a right.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Groups {
    all: bool,
    groups: BTreeSet<String>,
    /// Those that a role gives by a pattern.
    patterns: Vec<Wildcard>,
    /// Those that were taken, where a right on all or a pattern would give them.
    denied: BTreeSet<String>,
}

impl Groups {
    fn covers_widely(&self, group: &str) -> bool {
        self.all || self.patterns.iter().any(|pattern| pattern.matches(group))
    }

    fn contains(&self, group: &str) -> bool {
        let is_denied = !self.denied.is_empty() && self.denied.contains(group);
        !is_denied && (self.groups.contains(group) || self.covers_widely(group))
    }
}

/// What a connection may do: from its roles, and from what was granted and revoked since.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rights {
    join_leave: Groups,
    send: Groups,
}

impl Right {
    /// The role that gives it.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::JoinLeave => "webpubsub.joinLeaveGroup",
            Self::Send => "webpubsub.sendToGroup",
        }
    }

    /// By the name that the REST API has for it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("joinLeaveGroup") {
            Some(Self::JoinLeave)
        } else if name.eq_ignore_ascii_case("sendToGroup") {
            Some(Self::Send)
        } else {
            None
        }
    }
}

impl Right {
    /// By the name of the role that gives it by a pattern.
    fn of_pattern(name: &str) -> Option<Self> {
        // The name for one group with an `s`.
        Self::parse(name.strip_suffix(['s', 'S'])?)
    }
}

/// The channels of the groups on which a connection has a right, as it is now.
#[derive(Debug)]
struct GroupScope {
    rights: Arc<Mutex<Rights>>,
    right: Right,
    hub: HubName,
}

impl ScopeMatcher for GroupScope {
    fn covers(&self, channel: &str) -> bool {
        let group = self.hub.group(channel);
        self.rights.lock().allows(self.right, &group)
    }
}

/// The same rights as grants on the channels of the groups. What is granted and revoked later counts there too.
pub(crate) fn grants(rights: &Arc<Mutex<Rights>>, hub: &HubName) -> Vec<Grant> {
    let both = [
        (Right::JoinLeave, Permissions::READ),
        (Right::Send, Permissions::WRITE),
    ];
    let grant = |(right, permissions)| {
        let scope = GroupScope {
            rights: rights.clone(),
            right,
            hub: hub.clone(),
        };
        Grant::new(Scope::Matching(Arc::new(scope)), permissions)
    };
    both.map(grant).into()
}

impl Rights {
    /// The rights of roles; roles that are not known give none.
    pub(crate) fn of_roles<'r>(roles: impl IntoIterator<Item = &'r str>) -> Self {
        let mut rights = Self::default();
        for role in roles {
            let Some(role) = role.strip_prefix("webpubsub.") else {
                continue;
            };
            let (name, group) = match role.split_once('.') {
                Some((name, group)) => (name, Some(group)),
                None => (role, None),
            };
            if let Some(right) = Right::parse(name) {
                rights.grant(right, group);
            } else if let (Some(right), Some(pattern)) = (Right::of_pattern(name), group) {
                let pattern = Wildcard::parse(pattern);
                rights.scope_mut(right).patterns.extend(pattern);
            }
        }
        rights
    }

    fn scope(&self, right: Right) -> &Groups {
        match right {
            Right::JoinLeave => &self.join_leave,
            Right::Send => &self.send,
        }
    }

    fn scope_mut(&mut self, right: Right) -> &mut Groups {
        match right {
            Right::JoinLeave => &mut self.join_leave,
            Right::Send => &mut self.send,
        }
    }

    /// True when the right is there for this group.
    pub(crate) fn allows(&self, right: Right, group: &str) -> bool {
        self.scope(right).contains(group)
    }

    /// What the REST API answers: for a group, or for all groups.
    pub(crate) fn has(&self, right: Right, group: Option<&str>) -> bool {
        match group {
            Some(group) => self.allows(right, group),
            None => self.scope(right).all,
        }
    }

    /// Gives a right on a group, or on all.
    pub(crate) fn grant(&mut self, right: Right, group: Option<&str>) {
        let scope = self.scope_mut(right);
        match group {
            Some(group) => {
                scope.denied.remove(group);
                scope.groups.insert(group.to_owned());
            }
            None => {
                scope.denied.clear();
                scope.all = true;
            }
        }
    }

    /// Takes a right on a group, or on all. A group that was named stays taken until it is given again, whatever else
    /// would give it.
    pub(crate) fn revoke(&mut self, right: Right, group: Option<&str>) {
        let scope = self.scope_mut(right);
        match group {
            Some(group) => {
                scope.groups.remove(group);
                if scope.covers_widely(group) {
                    scope.denied.insert(group.to_owned());
                }
            }
            None => scope.all = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_give_rights_on_all_groups_or_on_one() {
        let rights = Rights::of_roles([
            "webpubsub.sendToGroup",
            "webpubsub.joinLeaveGroup.a.b c",
            "other.joinLeaveGroup",
            "webpubsub.unknown",
        ]);
        assert!(rights.allows(Right::Send, "any"));
        assert!(rights.allows(Right::JoinLeave, "a.b c"));
        assert!(!rights.allows(Right::JoinLeave, "a"));
    }

    #[test]
    fn a_role_may_have_a_pattern() {
        let rights = Rights::of_roles([
            "webpubsub.joinLeaveGroups.tenant.*",
            "webpubsub.SendToGroups.**",
            "webpubsub.joinLeaveGroups",
            "webpubsub.joinLeaveGroups.",
            "webpubsub.joinLeaveGroups.******",
        ]);
        assert!(rights.allows(Right::JoinLeave, "tenant.a"));
        assert!(!rights.allows(Right::JoinLeave, "tenant.a.b"));
        assert!(rights.allows(Right::Send, "any.group"));
        assert!(!rights.has(Right::Send, None));
    }

    #[test]
    fn a_group_that_was_taken_stays_so_until_it_is_given_again() {
        for role in ["webpubsub.sendToGroup", "webpubsub.sendToGroups.*"] {
            let mut rights = Rights::of_roles([role]);
            rights.revoke(Right::Send, Some("g"));
            assert!(!rights.allows(Right::Send, "g") && rights.allows(Right::Send, "h"));
            assert!(!rights.has(Right::Send, Some("g")));
            rights.grant(Right::Send, Some("g"));
            assert!(rights.allows(Right::Send, "g"));
            rights.revoke(Right::Send, Some("g"));
            rights.grant(Right::Send, None);
            assert!(rights.allows(Right::Send, "g"));
        }
    }

    #[test]
    fn granting_and_revoking_the_same_cancel_each_other() {
        let mut rights = Rights::default();
        rights.grant(Right::Send, Some("g"));
        rights.grant(Right::Send, None);
        rights.revoke(Right::Send, None);
        assert!(rights.has(Right::Send, Some("g")) && !rights.has(Right::Send, None));
        rights.revoke(Right::Send, Some("g"));
        assert_eq!(rights, Rights::default());
    }
}
