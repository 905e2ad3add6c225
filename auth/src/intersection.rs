//! Intersection of two identities: what both may do.

use std::sync::Arc;

use polywire_core::{Channel, Grant, Identity, Pattern, Permissions, Scope, ScopeMatcher};

/// The client of the first identity, or of the second where the first names none, with the rights that
/// both have.
///
/// Every grant of one is cut with every grant of the other: the rights in both, on the channels in both,
/// until the earlier end.
pub(crate) fn intersection(first: Identity, second: &Identity) -> Identity {
    let both = |a: &Grant, b: &Grant| {
        let permissions = a.permissions & b.permissions;
        (permissions != Permissions::NONE).then(|| Grant {
            scope: scope(&a.scope, &b.scope),
            permissions,
            expires_at: earlier(a.expires_at, b.expires_at),
        })
    };
    let grants = first
        .grants
        .iter()
        .flat_map(|a| second.grants.iter().filter_map(move |b| both(a, b)))
        .collect();
    Identity {
        client: first.client.or_else(|| second.client.clone()),
        credential: first.credential.or_else(|| second.credential.clone()),
        issued_at: earlier(first.issued_at, second.issued_at),
        expires_at: earlier(first.expires_at, second.expires_at),
        grants,
        domain: first.domain,
        refuses_other_ids: first.refuses_other_ids || second.refuses_other_ids,
    }
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    [one, other].into_iter().flatten().min()
}

fn scope(a: &Scope, b: &Scope) -> Scope {
    match (a, b) {
        (Scope::Everything, other) | (other, Scope::Everything) => other.clone(),
        (a, b) if a == b => a.clone(),
        (Scope::Channel(channel), other) | (other, Scope::Channel(channel))
            if other.covers(channel) =>
        {
            Scope::Channel(channel.clone())
        }
        (a, b) => Scope::Matching(Arc::new(Both(a.clone(), b.clone()))),
    }
}

/// What two scopes cover both.
#[derive(Debug)]
struct Both(Scope, Scope);

impl ScopeMatcher for Both {
    fn covers(&self, channel: &str) -> bool {
        let channel = Channel::new(channel);
        channel.is_ok_and(|channel| self.0.covers(&channel) && self.1.covers(&channel))
    }

    fn covers_pattern(&self, pattern: &Pattern) -> bool {
        self.0.covers_pattern(pattern) && self.1.covers_pattern(pattern)
    }

    fn covers_group(&self, group: &str) -> bool {
        self.0.covers_group(group) && self.1.covers_group(group)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The common scope covers exactly what both cover.
        #[test]
        fn a_name_is_covered_when_both_cover_it(
            a in "(([ab$]|\\+)/){0,3}([ab$]|\\+|#)",
            b in "(([ab$]|\\+)/){0,3}([ab$]|\\+|#)|[ab]\\.\\*",
            name in "(([ab$]{1,2})/){0,3}[ab](\\.[ab])?",
        ) {
            let (a, b): (Scope, Scope) = (a.parse().unwrap(), b.parse().unwrap());
            let name = Channel::new(&name).unwrap();
            prop_assert_eq!(scope(&a, &b).covers(&name), a.covers(&name) && b.covers(&name));
        }
    }

    #[test]
    fn rights_and_ends_are_cut() {
        let end = SystemTime::now() + Duration::from_secs(60);
        let grant = |scope, permissions, expires_at| Grant {
            scope,
            permissions,
            expires_at,
        };
        let room = Channel::new("room").unwrap();
        let first = Identity {
            expires_at: Some(end),
            grants: vec![grant(
                Scope::Everything,
                Permissions::READ | Permissions::WRITE,
                Some(end),
            )],
            ..Identity::default()
        };
        let second = Identity {
            expires_at: Some(end + Duration::from_secs(1)),
            grants: vec![
                grant(
                    Scope::Channel(room.clone()),
                    Permissions::READ | Permissions::MANAGE,
                    None,
                ),
                grant(Scope::Everything, Permissions::HISTORY, None),
            ],
            refuses_other_ids: true,
            ..Identity::default()
        };
        let both = intersection(first, &second);
        assert_eq!(
            both.grants,
            [grant(Scope::Channel(room), Permissions::READ, Some(end))]
        );
        assert_eq!(both.expires_at, Some(end));
        assert!(both.refuses_other_ids);
    }
}
