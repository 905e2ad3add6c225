//! Doors of a key set: whom its clients are who show nothing, or the secret key.

use std::sync::Arc;

use polywire_core::{Domain, Grant, Identity, Permissions, Scope, Space};

use crate::keys::KeySet;

/// The identities that many clients of a key set share, so that none is made for each request.
#[derive(Debug)]
pub(super) struct Door {
    /// Whoever shows nothing where that is enough.
    pub(super) anonymous: Arc<Identity>,
    /// Whoever shows nothing where more is needed.
    pub(super) nobody: Arc<Identity>,
    /// Whoever knows the secret key: everything in the domain.
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
                grants: vec![Grant::new(Scope::Everything, Permissions::ALL)],
                domain: domain.clone(),
                ..Identity::default()
            }),
        }
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
