//! Doors of a key set: whom its clients are who show nothing, or the secret key.

use std::sync::Arc;

use polywire_core::{Domain, Grant, Identity, Pattern, Permissions, Scope, ScopeMatcher, Space};

use crate::keys::KeySet;

/// The identities that many clients of a key set share, so that none is made for each request.
#[derive(Debug)]
pub(super) struct Door {
    /// Whoever shows nothing where that is enough.
    pub(super) anonymous: Arc<Identity>,
    /// Whoever shows nothing where more is needed.
    pub(super) nobody: Arc<Identity>,
    /// Whoever knows the secret key: everything in the domain, and where it is bridged to.
    pub(super) signed: Arc<Identity>,
}

impl Door {
    pub(super) fn of(set: &KeySet, space: &Space) -> Self {
        let domain = set.domain();
        Self {
            anonymous: within(space.anonymous(), domain),
            nobody: Arc::new(Identity {
                domain: domain.clone(),
                ..Identity::default()
            }),
            signed: Arc::new(Identity {
                grants: vec![
                    Grant::new(Scope::Everything, Permissions::ALL),
                    Grant::new(Scope::Matching(Arc::new(EveryName)), Permissions::ALL),
                ],
                domain: domain.clone(),
                ..Identity::default()
            }),
        }
    }
}

/// Every name that there is, whose domain can be reached.
#[derive(Debug)]
struct EveryName;

impl ScopeMatcher for EveryName {
    fn covers(&self, _: &str) -> bool {
        true
    }

    fn covers_pattern(&self, _: &Pattern) -> bool {
        true
    }

    fn covers_group(&self, _: &str) -> bool {
        true
    }
}

/// The same in a domain.
pub(super) fn within(identity: Arc<Identity>, domain: &Domain) -> Arc<Identity> {
    if identity.domain == *domain {
        return identity;
    }
    Arc::new(Identity {
        domain: domain.clone(),
        ..Identity::clone(&identity)
    })
}
