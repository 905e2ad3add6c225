//! One connection that speaks the Emitter protocol.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroU16,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use polywire_core::{
    Channel, ConnectionId, Draft, Payload, Refusal, RefusalKind, Retention, delivery::Receiver,
    space::Attachment,
};
use rmqtt_codec::{types::QoS, v5::SubscribeAckReason};
use serde_json::{Map, Value};

use super::{
    fault::Fault,
    interest::Interest,
    requests,
    service::{Service, filter, pattern, written},
    stored,
    topic::{Address, Options, REQUESTS, Topic, tidy},
    watch::Watches,
    who::Who,
};
use crate::{
    about::About,
    client::Client,
    connect::Will,
    incoming::Asked,
    keys::{Key, Permissions},
    share::Member,
    subscription::{Filter, Subscription, Wish},
};

/// How long a retained message without a time to live is stored.
const RETAINED_SECS: u64 = 30 * 24 * 60 * 60;
/// The longest time to live: a hundred years.
const TTL_SECS_MAX: u64 = 100 * 365 * 24 * 60 * 60;

/// What a client publishes.
pub(crate) struct Message {
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// One connection that speaks the Emitter protocol.
pub(crate) struct Speaker {
    pub(super) service: Arc<Service>,
    client: Arc<Client>,
    pub(super) who: Who,
    /// Short names of topics without their keys, and the keys.
    pub(super) links: BTreeMap<String, (String, String)>,
    /// The paths, without those of groups.
    subscriptions: HashSet<String>,
    groups: HashSet<(String, String)>,
    watches: Option<Watches>,
}

impl Speaker {
    pub(super) fn new(service: Arc<Service>, client: Arc<Client>, who: Who) -> Self {
        Self {
            service,
            client,
            who,
            links: BTreeMap::new(),
            subscriptions: HashSet::new(),
            groups: HashSet::new(),
            watches: None,
        }
    }

    fn connection(&self) -> ConnectionId {
        self.client.connection()
    }

    /// Publishes, or does what is requested; the client is told of what is wrong.
    ///
    /// # Errors
    /// When a message could not be kept, or not reach other nodes.
    pub(crate) async fn publish(
        &mut self,
        topic: &str,
        message: Message,
        id: Option<NonZeroU16>,
        attachment: &mut Attachment,
    ) -> Result<(), Refusal> {
        let sent = match Address::parse(topic) {
            Ok(Address::Request(name)) => {
                self.request(name, &message.payload, id, attachment).await;
                return Ok(());
            }
            Ok(Address::Link(name)) => match self.links.get(name) {
                Some((key, channel)) => {
                    let topic = format!("{key}/{channel}");
                    self.send(&topic, message, attachment).await
                }
                None => Ok(Err(Fault::bad("There is no such link."))),
            },
            Ok(Address::Channel(_)) => self.send(topic, message, attachment).await,
            Err(bad) => Ok(Err(bad.into())),
        };
        if let Err(fault) = sent? {
            self.fail(&fault, id);
        }
        Ok(())
    }

    /// Publishes to a channel.
    async fn send(
        &self,
        topic: &str,
        message: Message,
        attachment: &Attachment,
    ) -> Result<Result<(), Fault>, Refusal> {
        let draft = match self.draft(topic, message) {
            Ok(draft) => draft,
            Err(fault) => return Ok(Err(fault)),
        };
        match attachment.publish(draft).await {
            Ok(_) => Ok(Ok(())),
            Err(refusal) if refusal.kind == RefusalKind::Unavailable => Err(refusal),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }

    fn draft(&self, topic: &str, message: Message) -> Result<Draft, Fault> {
        let topic = Topic::parse(topic)?;
        if topic.path.is_wild() {
            return Err(Fault::wildcard());
        }
        if topic.group.is_some() {
            return Err(Fault::bad("Messages are not published to a share group."));
        }
        let path = topic.path.as_str();
        let keyring = &self.service.keyring;
        let key = keyring
            .permits(topic.key, Permissions::WRITE, path)
            .ok_or_else(Fault::unauthorized)?;
        let channel = Channel::new(path).map_err(|error| Fault::bad(error.to_string()))?;
        let own = (!topic.options.wants_echo()).then(|| self.connection());
        Ok(Draft::new(channel, Payload::untyped(message.payload))
            .publisher(self.who.id.clone())
            .meta(About::of_qos(message.qos).meta())
            .except(own)
            .retention(retention(&topic.options, message.retain, &key)))
    }

    /// Subscribes; what is wrong is said twice, in the answer and as a message.
    pub(crate) async fn subscribe(
        &mut self,
        id: Option<NonZeroU16>,
        asked: &Asked,
        attachment: &mut Attachment,
    ) -> Result<QoS, SubscribeAckReason> {
        let filter = tidy(&asked.filter);
        let subscribed = match Topic::parse(&filter) {
            Ok(topic) => self.join(&topic, asked, attachment, true).await,
            Err(bad) => Err(bad.into()),
        };
        subscribed.map(|()| asked.wish.qos).map_err(|fault| {
            self.fail(&fault, id);
            match fault.status {
                400 => SubscribeAckReason::TopicFilterInvalid,
                401 => SubscribeAckReason::NotAuthorized,
                _ => SubscribeAckReason::UnspecifiedError,
            }
        })
    }

    /// Joins what a topic stands for; with `replays`, stored messages come first.
    pub(super) async fn join(
        &mut self,
        topic: &Topic<'_>,
        asked: &Asked,
        attachment: &mut Attachment,
        replays: bool,
    ) -> Result<(), Fault> {
        let path = topic.path.as_str();
        let key = self.readable(topic).ok_or_else(Fault::unauthorized)?;
        let (Some(written), Some(pattern), Some(interest)) =
            (written(path), pattern(path), Interest::of(path))
        else {
            return Err(Fault::bad("The channel is not one."));
        };
        let refused = &self.service.refused_filters;
        if refused
            .iter()
            .any(|one| one == path || one == written.as_str())
        {
            return Err(Fault::unauthorized());
        }
        if let Some(group) = topic.group {
            return self.join_group(group, path, asked.wish).await;
        }
        let last = topic.options.last.unwrap_or(1);
        let replays = replays
            && last > 0
            && key.permissions.contains(Permissions::LOAD)
            && self.service.space.history().is_some();
        if replays {
            self.client.hold();
        }
        let joined = self
            .enter(
                Filter::Pattern(written, pattern),
                &interest,
                asked,
                attachment,
            )
            .await;
        if matches!(joined, Ok(true)) && self.subscriptions.insert(path.to_owned()) {
            self.service.arrived(path, &self.who).await;
        }
        if replays {
            let count = match joined {
                Ok(true) => usize::try_from(last).unwrap_or(usize::MAX),
                _ => 0,
            };
            self.replay(path, &topic.options, count).await;
        }
        joined.map(drop)
    }

    /// A key that may read the channel, or with a group also the channel's name together with the group's.
    fn readable(&self, topic: &Topic<'_>) -> Option<Key> {
        let (path, keyring) = (topic.path.as_str(), &self.service.keyring);
        let permits = |path: &str| keyring.permits(topic.key, Permissions::READ, path);
        let of_group = || permits(&format!("$share/{}/{path}", topic.group?));
        permits(path).or_else(of_group)
    }

    /// True when the client is to get what matches: the dispatcher may have dropped the command.
    async fn enter(
        &self,
        filter: Filter,
        interest: &Interest,
        asked: &Asked,
        attachment: &mut Attachment,
    ) -> Result<bool, Fault> {
        // Known before anything can come.
        let before = self.client.subscribe(Subscription {
            filter: filter.clone(),
            wish: asked.wish,
        });
        let joined = interest.join(attachment).await;
        if let Ok(true) = joined {
            return Ok(true);
        }
        self.client.unsubscribe(&filter);
        if let Some(before) = before {
            self.client.subscribe(before);
        }
        Ok(joined?)
    }

    async fn join_group(&mut self, group: &str, path: &str, wish: Wish) -> Result<(), Fault> {
        let limit = self.service.space.limits().channels_per_connection_max;
        let group_and_path = (group.to_owned(), path.to_owned());
        if self.groups.contains(&group_and_path) {
            return Ok(());
        }
        if self.groups.len() >= limit {
            return Err(Fault::bad("There are too many share groups: leave one."));
        }
        let Some(filter) = filter(path) else {
            return Ok(());
        };
        let member = Member {
            client: Arc::downgrade(&self.client),
            wish,
        };
        let (groups, space) = (&self.service.groups, &self.service.space);
        groups
            .join(space, group, &filter, &self.who.id, member)
            .await?;
        self.groups.insert(group_and_path);
        Ok(())
    }

    async fn leave_group(&self, group: &str, path: &str) {
        if let Some(filter) = filter(path) {
            let (groups, space) = (&self.service.groups, &self.service.space);
            groups.leave(space, group, &filter, &self.who.id).await;
        }
    }

    /// Sends stored messages, and then what was published meanwhile.
    async fn replay(&self, path: &str, options: &Options, count: usize) {
        let (mut read, span) = (Vec::new(), stored::span(options));
        if let Some(history) = self.service.space.history() {
            match stored::newest(history, path, span, count).await {
                Ok(messages) => read = messages,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, path, "no stored messages for a subscriber");
                }
            }
        }
        let flusher = self.service.space.hub().flusher();
        self.client.let_through(read, flusher);
    }

    /// Unsubscribes; true when there was such a subscription.
    pub(crate) async fn unsubscribe(
        &mut self,
        id: Option<NonZeroU16>,
        filter: &str,
        attachment: &mut Attachment,
    ) -> bool {
        let filter = tidy(filter);
        let left = match Topic::parse(&filter) {
            Ok(topic) => self.leave(&topic, attachment).await,
            Err(bad) => Err(bad.into()),
        };
        left.unwrap_or_else(|fault| {
            self.fail(&fault, id);
            false
        })
    }

    async fn leave(
        &mut self,
        topic: &Topic<'_>,
        attachment: &mut Attachment,
    ) -> Result<bool, Fault> {
        let path = topic.path.as_str();
        self.readable(topic).ok_or_else(Fault::unauthorized)?;
        if let Some(group) = topic.group {
            let was_in = self.groups.remove(&(group.to_owned(), path.to_owned()));
            if was_in {
                self.leave_group(group, path).await;
            }
            return Ok(was_in);
        }
        let (Some(written), Some(pattern), Some(interest)) =
            (written(path), pattern(path), Interest::of(path))
        else {
            return Ok(false);
        };
        let left = interest.leave(attachment).await?;
        if left {
            self.client.unsubscribe(&Filter::Pattern(written, pattern));
        }
        if left && self.subscriptions.remove(path) {
            self.service.left(path, &self.who).await;
        }
        Ok(left)
    }

    /// Does what is requested, and answers on the topic of the request.
    async fn request(
        &mut self,
        name: &str,
        body: &[u8],
        id: Option<NonZeroU16>,
        attachment: &mut Attachment,
    ) {
        let answered = requests::answer(self, name, body, attachment).await;
        let mut answer = answered.unwrap_or_else(|fault| {
            let mut answer = fault.body();
            // SDKs look for it in everything that comes on this topic, and end where it is missing.
            if name == "presence" {
                let channel = requests::presence::channel_of(body);
                answer.insert("channel".into(), channel.into());
            }
            answer
        });
        if let Some(id) = id {
            answer.insert("req".into(), id.get().into());
        }
        self.answer(&format!("{REQUESTS}{name}/"), answer);
    }

    /// Tells the client what was wrong.
    fn fail(&self, fault: &Fault, id: Option<NonZeroU16>) {
        let mut body = fault.body();
        if let Some(id) = id {
            body.insert("req".into(), id.get().into());
        }
        self.answer("emitter/error/", body);
    }

    fn answer(&self, topic: &str, body: Map<String, Value>) {
        self.client
            .answer(topic, Value::Object(body).to_string().into());
    }

    /// The watches of this connection.
    pub(super) fn watches(&mut self) -> &mut Watches {
        let (space, client) = (&self.service.space, &self.client);
        self.watches
            .get_or_insert_with(|| Watches::new(space, client))
    }

    /// Publishes the will; false when it was not. Nobody can be told what is wrong with it.
    pub(crate) async fn publish_will(&self, will: Will, attachment: &Attachment) -> bool {
        let message = Message {
            payload: will.payload,
            qos: will.qos,
            retain: will.about.retain,
        };
        let sent = self.send(&will.topic, message, attachment).await;
        matches!(sent, Ok(Ok(())))
    }

    /// The connection has ended.
    pub(crate) async fn end(mut self) {
        // First the watches: nobody is there to be told.
        self.watches = None;
        for (group, path) in std::mem::take(&mut self.groups) {
            self.leave_group(&group, &path).await;
        }
        for path in std::mem::take(&mut self.subscriptions) {
            self.service.left(&path, &self.who).await;
        }
    }
}

/// A message is stored when that is asked for and the key allows it.
fn retention(options: &Options, retain: bool, key: &Key) -> Retention {
    let ttl = options.ttl.filter(|ttl| *ttl > 0);
    if !(ttl.is_some() || retain) || !key.permissions.contains(Permissions::STORE) {
        return Retention::NONE;
    }
    let secs = ttl.unwrap_or(RETAINED_SECS).min(TTL_SECS_MAX);
    Retention {
        store: true,
        ttl: Some(Duration::from_secs(secs)),
    }
}
