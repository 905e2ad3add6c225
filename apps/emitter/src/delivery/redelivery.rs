//! Redelivery: what was delivered to a member of a group goes to another one when its client, and its session, are gone
//! (MQTT 5.0 section 4.8.2).

use std::{fmt, sync::Arc};

use polywire_core::{ClientId, Draft, Publication};

/// A group that finds another member.
pub(crate) trait Redeliver: Send + Sync {
    /// What is to be published to the group for a message of a member that is gone.
    fn redelivery(&self, publication: &Publication, gone: &ClientId) -> Option<Draft>;
}

/// A message that was delivered to a member of a group.
#[derive(Clone)]
pub(crate) struct Redelivery {
    pub(super) publication: Publication,
    pub(super) group: Arc<dyn Redeliver>,
}

impl Redelivery {
    /// What is to be published to the group, when the member that got the message is gone.
    pub(crate) fn draft(&self, gone: &ClientId) -> Option<Draft> {
        self.group.redelivery(&self.publication, gone)
    }
}

impl fmt::Debug for Redelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redelivery")
            .field(&self.publication.position())
            .finish()
    }
}
