//! Intersection of two identities: what both may do.

use polywire_core::{Grant, Identity, Level, Pattern, Permissions, Scope};

/// The client of the first identity, or of the second where the first names none, with the rights that
/// both have.
///
/// Every grant of one is cut with every grant of the other: the rights in both, on the channels in both,
/// until the earlier end. Patterns with different separators have no common pattern: nothing is granted.
pub(crate) fn intersection(first: Identity, second: &Identity) -> Identity {
    let both = |a: &Grant, b: &Grant| {
        let permissions = a.permissions & b.permissions;
        let scope = scope(&a.scope, &b.scope)?;
        (permissions != Permissions::NONE).then(|| Grant {
            scope,
            permissions,
            expires_at: [a.expires_at, b.expires_at].into_iter().flatten().min(),
        })
    };
    let grants = first
        .grants
        .iter()
        .flat_map(|a| second.grants.iter().filter_map(move |b| both(a, b)))
        .collect();
    Identity {
        client: first.client.or_else(|| second.client.clone()),
        grants,
    }
}

fn scope(a: &Scope, b: &Scope) -> Option<Scope> {
    match (a, b) {
        (Scope::Everything, other) | (other, Scope::Everything) => Some(other.clone()),
        (Scope::Channel(channel), other) | (other, Scope::Channel(channel)) => other
            .covers(channel)
            .then(|| Scope::Channel(channel.clone())),
        (Scope::Pattern(a), Scope::Pattern(b)) => pattern(a, b).map(Scope::Pattern),
    }
}

/// The pattern that matches what both match.
fn pattern(a: &Pattern, b: &Pattern) -> Option<Pattern> {
    if a.separator() != b.separator() {
        return None;
    }
    let hidden = |level: Option<&Level>| matches!(level, Some(Level::Literal(text)) if text.starts_with('$'));
    let (first_a, first_b) = (a.levels().first(), b.levels().first());
    if hidden(first_a) != hidden(first_b) {
        // A wildcard in the first level does not match names that begin with `$`.
        return None;
    }
    let mut levels = Vec::new();
    let (mut left, mut right) = (a.levels(), b.levels());
    loop {
        match (left, right) {
            ([], [] | [Level::Rest]) | ([Level::Rest], []) => break,
            ([Level::Rest], rest) | (rest, [Level::Rest]) => {
                levels.extend_from_slice(rest);
                break;
            }
            ([], _) | (_, []) => return None,
            ([x, next_left @ ..], [y, next_right @ ..]) => {
                levels.push(match (x, y) {
                    (Level::One, other) | (other, Level::One) => other.clone(),
                    (x, y) if x == y => x.clone(),
                    _ => return None,
                });
                (left, right) = (next_left, next_right);
            }
        }
    }
    Pattern::new(a.separator(), levels).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use polywire_core::Channel;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The common pattern matches exactly what both match.
        #[test]
        fn a_name_matches_the_common_pattern_when_it_matches_both(
            a in "(([ab$]|\\+)/){0,3}([ab$]|\\+|#)",
            b in "(([ab$]|\\+)/){0,3}([ab$]|\\+|#)",
            name in "(([ab$]{1,2})/){0,3}[ab]",
        ) {
            let (a, b) = (Pattern::mqtt(&a).unwrap(), Pattern::mqtt(&b).unwrap());
            let common = pattern(&a, &b).is_some_and(|common| common.matches(&name));
            prop_assert_eq!(common, a.matches(&name) && b.matches(&name));
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
            client: None,
            grants: vec![grant(
                Scope::Everything,
                Permissions::READ | Permissions::WRITE,
                Some(end),
            )],
        };
        let second = Identity {
            client: None,
            grants: vec![
                grant(
                    Scope::Channel(room.clone()),
                    Permissions::READ | Permissions::MANAGE,
                    None,
                ),
                grant(Scope::Everything, Permissions::HISTORY, None),
            ],
        };
        assert_eq!(
            intersection(first, &second).grants,
            [grant(Scope::Channel(room), Permissions::READ, Some(end))]
        );
    }
}
