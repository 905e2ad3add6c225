//! The session of a client that speaks the Emitter protocol. It ends with the connection.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroU16,
    sync::Arc,
};

use bytes::Bytes;
use polywire_core::{ClientId, ConnectionId, delivery::Receiver, space::Attachment};
use serde_json::{Map, Value};

use super::{
    context::EmitterContext,
    fault::Fault,
    interest::filter,
    keys::{Shown, ShownKeys},
    presence::EmitterMember,
    presence_watch::PresenceWatch,
};
use crate::{codec::version::Version, delivery::subscriber::Subscriber};

/// The session of a client that speaks the Emitter protocol.
pub(crate) struct EmitterSession {
    pub(super) context: Arc<EmitterContext>,
    pub(super) subscriber: Arc<Subscriber>,
    pub(super) member: EmitterMember,
    /// Short names of topics without their keys, and the keys.
    pub(super) links: BTreeMap<String, (String, String)>,
    /// The paths, without those of groups.
    pub(super) subscriptions: HashSet<String>,
    pub(super) groups: HashSet<(String, String)>,
    keys: ShownKeys,
    watch: Option<PresenceWatch>,
}

impl EmitterSession {
    /// A connection begins to speak the protocol.
    pub(super) fn begin(
        context: &Arc<EmitterContext>,
        subscriber: &Arc<Subscriber>,
        version: Version,
        username: Option<&str>,
    ) -> Self {
        subscriber.set_encoders(context.encoders(version));
        let limit = context.broker.space.limits().name_bytes_max;
        let username = username.filter(|name| !name.is_empty() && name.len() <= limit);
        let member = EmitterMember {
            id: ClientId::new(&subscriber.connection().to_string())
                .unwrap_or_else(|_| unreachable!("the text of a connection id is not empty")),
            username: username.map(Into::into),
        };
        Self {
            context: context.clone(),
            subscriber: subscriber.clone(),
            member,
            links: BTreeMap::new(),
            subscriptions: HashSet::new(),
            groups: HashSet::new(),
            keys: ShownKeys::default(),
            watch: None,
        }
    }

    /// Who it is in groups and presence.
    pub(crate) fn member_id(&self) -> &ClientId {
        &self.member.id
    }

    pub(super) fn connection(&self) -> ConnectionId {
        self.subscriber.connection()
    }

    /// What follows is done by the rights of a key, shown for a share group or none.
    pub(super) fn show(
        &mut self,
        key: &str,
        group: Option<&str>,
        attachment: &mut Attachment,
    ) -> Shown {
        let shown = self.keys.of(&self.context.keyring, key, group);
        attachment.act_as(&shown.identity);
        shown
    }

    /// What this connection watches.
    pub(super) fn watch(&mut self) -> &mut PresenceWatch {
        let (space, subscriber) = (&self.context.broker.space, &self.subscriber);
        self.watch
            .get_or_insert_with(|| PresenceWatch::new(space, subscriber))
    }

    /// Tells the client what was wrong.
    pub(super) fn fail(&self, fault: &Fault, id: Option<NonZeroU16>) {
        let mut body = fault.body();
        if let Some(id) = id {
            body.insert("req".into(), id.get().into());
        }
        self.answer("emitter/error/", body);
    }

    pub(super) fn answer(&self, topic: &str, body: Map<String, Value>) {
        let body = Value::Object(body).to_string();
        self.subscriber.answer(topic, Bytes::from(body));
    }

    pub(super) async fn leave_group(&self, group: &str, path: &str) {
        if let Some(filter) = filter(path) {
            let broker = &self.context.broker;
            let groups = &broker.shared_subscriptions;
            groups
                .leave(&broker.space, group, &filter, &self.member.id)
                .await;
        }
    }

    /// The connection has ended.
    pub(crate) async fn end(mut self) {
        // First the watch: nobody is there to be told.
        self.watch = None;
        for (group, path) in std::mem::take(&mut self.groups) {
            self.leave_group(&group, &path).await;
        }
        for path in std::mem::take(&mut self.subscriptions) {
            self.member.leave(&self.context.broker.space, &path).await;
        }
    }
}
