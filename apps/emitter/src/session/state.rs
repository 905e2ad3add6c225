//! The session of a client: all that is known between its packets.

use std::sync::Arc;

use bytestring::ByteString;
use polywire_core::{Identity, Origin, space::Attachment};

use super::{
    absence::Absence, qos2_deduplication::UnreleasedIds, retained_replay::RetainedReplay,
    topic_aliases::ClientTopicAliases,
};
use crate::{
    codec::{
        connect::Will,
        filter::{Filter, SubscriptionOptions},
        version::Version,
    },
    delivery::subscriber::Subscriber,
    emitter_mode::detect::TopicMode,
};

/// The session of a client that has said CONNECT.
pub(crate) struct Session {
    pub(crate) version: Version,
    /// The client id, behind the principal where a credential proves one.
    pub(crate) id: ByteString,
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) mode: TopicMode,
    pub(crate) attachment: Attachment,
    pub(crate) will: Option<Will>,
    pub(crate) unreleased: UnreleasedIds,
    pub(crate) topic_aliases: ClientTopicAliases,
    pub(crate) shared_subscriptions: Vec<SharedSubscription>,
    /// Seconds that it lasts without a connection.
    pub(crate) expiry_secs: u32,
    /// None while the client is connected.
    pub(crate) absence: Option<Absence>,
    /// It is written down somewhere.
    pub(crate) is_written: bool,
    /// The client is told in words what is wrong.
    pub(crate) wants_reason_strings: bool,
    /// The client is another broker.
    pub(crate) is_bridge: bool,
    pub(crate) retained_replay: RetainedReplay,
}

/// A subscription that is shared with a group.
#[derive(Debug, Clone)]
pub(crate) struct SharedSubscription {
    pub(crate) group: String,
    pub(crate) filter: Filter,
    pub(crate) options: SubscriptionOptions,
}

impl Session {
    /// True when it outlives its connection. Those of Emitter clients do not: there are no such sessions in Emitter.
    pub(crate) fn is_persistent(&self) -> bool {
        self.expiry_secs > 0
            && !matches!(self.mode, TopicMode::Emitter(_))
            && !self.subscriber.has_ended()
    }

    /// Who it is, where it is not known yet what it speaks too.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        match &self.mode {
            TopicMode::Undecided(client) => &client.identity,
            TopicMode::Plain | TopicMode::Emitter(_) => &self.attachment.origin().identity,
        }
    }

    /// True when somebody may read all that the session has subscribed to.
    pub(crate) fn may_be_of(&self, origin: &Origin) -> bool {
        let subscriptions = self.subscriber.subscriptions().into_iter();
        let own = subscriptions.filter(|subscription| !subscription.by_server);
        let filters = own.map(|subscription| subscription.filter);
        let shared = self.shared_subscriptions.iter();
        let mut filters = filters.chain(shared.map(|shared| shared.filter.clone()));
        let space = self.attachment.space();
        filters.all(|filter| space.may(origin, filter.action()))
    }
}
