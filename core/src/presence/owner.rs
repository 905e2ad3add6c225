//! Member owners: on whose behalf clients are made present, so that none takes the room of all.

use std::{net::SocketAddr, sync::Arc};

use crate::dispatcher::Origin;

/// On whose behalf a client is made present. What is not known is not bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberOwner {
    /// The other end of the connection: its address is that of the client, and with its port it is the connection.
    pub peer: Option<SocketAddr>,
    /// The tenant, where the app has several.
    pub tenant: Option<Tenant>,
}

/// A tenant of an app, and how many members it may have on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name, by which its members are counted.
    pub name: Arc<str>,
    /// As many.
    pub members_max: usize,
}

impl From<&Origin> for MemberOwner {
    fn from(origin: &Origin) -> Self {
        Self {
            peer: origin.peer,
            tenant: None,
        }
    }
}
