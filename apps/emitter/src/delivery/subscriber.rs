//! The subscriber of a session, as the hub sees it: what is delivered to its client.

use std::{
    num::NonZeroU16,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard, RwLock};
use polywire_core::{
    Channel, ClientId, ConnectionId, Publication, Target, Timetoken,
    delivery::{
        AlreadyRead, EndReason, Fanout, Flusher, GateDecision, Link, Message, Receiver, ReplayGate,
    },
    transport::Framing,
};
use rmqtt_codec::{types::QoS, v5::DisconnectReasonCode};
use tokio::sync::Notify;

use super::{
    client_limits::ClientLimits,
    connection_handle::ConnectionHandle,
    effective_subscription::EffectiveSubscription,
    ended_sessions::EndedSessions,
    inflight_snapshot::InflightSnapshot,
    inflight_window::InflightWindow,
    publisher::Publisher,
    queue_log::StoredQueue,
    queued_publish::QueuedPublish,
    redelivery::{Redeliver, Redelivery},
    route::{BoundConnection, Route, RouteRef},
    send_queue::{HasToWait, QueueFull, SendQueue},
    subscriber_rules::SubscriberRules,
    subscriptions::{NoRoom, Subscriptions},
};
use crate::codec::{
    encoder::Encoders,
    filter::{Filter, Subscription, SubscriptionOptions},
    message_properties, outgoing, publish_rewrite,
    topic_aliases::{ALIAS_BYTES, TopicAliases},
    version::Version,
};

/// What changes while it is connected.
struct SubscriberState {
    subscriptions: Subscriptions,
    send_queue: SendQueue,
    aliases: TopicAliases,
    /// Told when the client has confirmed something, while somebody waits for that.
    confirmed: Option<Arc<Notify>>,
}

impl SubscriberState {
    /// What an alias may add to a packet.
    fn alias_bytes(&self) -> usize {
        if self.aliases.is_empty() {
            0
        } else {
            ALIAS_BYTES
        }
    }
}

/// A client, for as long as its session lasts.
pub(crate) struct Subscriber {
    connection: ConnectionId,
    publisher: Publisher,
    route: Route,
    gate: ReplayGate,
    /// Some subscription wants more than QoS 0, the client has limits, or it may be away: each message is looked at.
    needs_own_packet: AtomicBool,
    /// Some subscription is not for what the client publishes itself.
    has_no_local: AtomicBool,
    /// The server has ended it: nothing waits for its client any more.
    has_ended: AtomicBool,
    /// Messages that its session was promised are lost.
    has_gap: AtomicBool,
    /// Told when it ends; none where it ends with its connection.
    ended_sessions: Option<Arc<EndedSessions>>,
    /// What kept messages of other protocols count as.
    kept_qos: QoS,
    state: Mutex<SubscriberState>,
}

impl Subscriber {
    /// A client whose session ends with its connection.
    pub(crate) fn new(
        connection: ConnectionId,
        publisher: Publisher,
        handle: Arc<ConnectionHandle>,
        client_limits: ClientLimits,
        send_queue: SendQueue,
        aliases: TopicAliases,
        rules: SubscriberRules,
    ) -> Self {
        Self {
            connection,
            publisher,
            route: Route::fixed(handle, client_limits),
            gate: ReplayGate::default(),
            needs_own_packet: AtomicBool::new(
                client_limits.packet_bytes_max.is_some() || !aliases.is_empty(),
            ),
            has_no_local: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            has_gap: AtomicBool::new(false),
            ended_sessions: None,
            kept_qos: rules.kept_qos,
            state: Mutex::new(SubscriberState {
                subscriptions: Subscriptions::new(rules.subscription_bytes_max),
                send_queue,
                aliases,
                confirmed: None,
            }),
        }
    }

    /// A client whose session may outlive its connections; it is away until it [connected](Self::connected).
    pub(crate) fn persistent(
        connection: ConnectionId,
        publisher: Publisher,
        client_limits: ClientLimits,
        encoders: Encoders,
        send_queue: SendQueue,
        ended_sessions: Arc<EndedSessions>,
        rules: SubscriberRules,
    ) -> Self {
        Self {
            connection,
            publisher,
            route: Route::Changing(RwLock::new(BoundConnection {
                client_limits,
                encoders,
                handle: None,
            })),
            gate: ReplayGate::default(),
            needs_own_packet: AtomicBool::new(true),
            has_no_local: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            has_gap: AtomicBool::new(false),
            ended_sessions: Some(ended_sessions),
            kept_qos: rules.kept_qos,
            state: Mutex::new(SubscriberState {
                subscriptions: Subscriptions::new(rules.subscription_bytes_max),
                send_queue,
                aliases: TopicAliases::default(),
                confirmed: None,
            }),
        }
    }

    /// Takes up what was written down of a session, and what was held meanwhile and is not among that.
    pub(crate) fn restore(
        &self,
        stored: StoredQueue,
        inflight_snapshot: Option<InflightSnapshot>,
        flusher: &Flusher,
    ) {
        let StoredQueue { waiting, known } = stored;
        self.state
            .lock()
            .send_queue
            .restore(waiting, inflight_snapshot);
        self.open(&[], &AlreadyRead::These(known), flusher);
    }

    fn deliver_held(&self, publication: &Publication, flusher: &Flusher) {
        let mut dirty = Vec::new();
        self.deliver_now(&mut Fanout::new(publication, flusher, &mut dirty));
        flusher.submit(&mut dirty);
    }

    /// The client has a connection, with these route formats; it gets what it has not confirmed, and what waits.
    pub(crate) fn connected(
        &self,
        handle: &Arc<ConnectionHandle>,
        client_limits: ClientLimits,
        encoders: Encoders,
        window: InflightWindow,
        aliases: TopicAliases,
    ) {
        let Route::Changing(connection) = &self.route else {
            return;
        };
        // What is delivered meanwhile waits, and comes behind.
        let mut state = self.state.lock();
        *connection.write() = BoundConnection {
            client_limits,
            encoders,
            handle: Some(handle.clone()),
        };
        state.aliases = aliases;
        state.send_queue.resume(window);
        self.send_next(&mut state);
    }

    /// The client has no connection any more; what is for it waits.
    pub(crate) fn disconnected(&self) {
        if let Route::Changing(connection) = &self.route {
            connection.write().handle = None;
        }
    }

    /// Who it is.
    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The client id that a message has to carry, so that the client does not get it itself.
    pub(crate) fn carried_client_id(&self) -> Option<&str> {
        let is_wanted = self.has_no_local.load(Ordering::Relaxed);
        is_wanted.then(|| self.publisher.hidden_client_id())?
    }

    /// True when the server has ended it: its session is not gone on with.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// True when messages that its session was promised are lost: the client is to begin another one.
    pub(crate) fn has_gap(&self) -> bool {
        self.has_gap.load(Ordering::Acquire)
    }

    /// What is on its way to it.
    pub(crate) fn inflight_snapshot(&self) -> InflightSnapshot {
        self.state.lock().send_queue.inflight_snapshot()
    }

    /// What it is subscribed to.
    pub(crate) fn subscriptions(&self) -> Vec<Subscription> {
        self.state.lock().subscriptions.all()
    }

    pub(crate) fn is_subscribed(&self, filter: &Filter) -> bool {
        self.state.lock().subscriptions.contains(filter)
    }

    /// Sets the wire formats of the mode that the client speaks: before that it is subscribed to nothing.
    pub(crate) fn set_encoders(&self, encoders: Encoders) {
        self.route.set_encoders(encoders);
    }

    pub(crate) fn send(&self, packet: Option<Bytes>) {
        self.route.with_handle(|handle, _| handle.send(packet));
    }

    /// Takes a subscription, in the place of one to the same filter, which is returned.
    ///
    /// # Errors
    /// [`NoRoom`] where the client has as many as it may.
    pub(crate) fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<Option<Subscription>, NoRoom> {
        let options = subscription.options;
        // Known before anything can come by it.
        if !options.is_plain() {
            self.needs_own_packet.store(true, Ordering::Relaxed);
        }
        if options.no_local {
            self.has_no_local.store(true, Ordering::Relaxed);
        }
        self.state.lock().subscriptions.insert(subscription)
    }

    pub(crate) fn unsubscribe(&self, filter: &Filter) {
        self.state.lock().subscriptions.remove(filter);
    }

    /// Takes a subscription back; there was another one to the same filter `before`.
    pub(crate) fn undo_subscribe(&self, filter: &Filter, before: Option<Subscription>) {
        self.unsubscribe(filter);
        if let Some(before) = before {
            // It had room.
            let _ = self.subscribe(before);
        }
    }

    /// The client is done with a message.
    pub(crate) fn completed(&self, id: NonZeroU16) {
        let mut state = self.state.lock();
        state.send_queue.complete(id);
        self.send_next(&mut state);
        if let Some(confirmed) = &state.confirmed {
            confirmed.notify_one();
        }
    }

    /// Told from now on when the client has confirmed something.
    pub(crate) fn on_confirmed(&self, confirmed: Option<Arc<Notify>>) {
        self.state.lock().confirmed = confirmed;
    }

    /// Sends what can be sent now. The lock is held until it is: topic aliases count from then on.
    fn send_next(&self, state: &mut SubscriberState) {
        self.route.with_handle(|handle, _| {
            while let Some(packet) = state.send_queue.next() {
                handle.send(Some(state.aliases.apply(packet)));
            }
        });
    }

    /// The client has a message of QoS 2; false for one that it was not sent.
    pub(crate) fn received(&self, id: NonZeroU16) -> bool {
        self.state.lock().send_queue.received(id)
    }

    /// Sends an answer that nobody subscribed to.
    pub(crate) fn answer(&self, topic: &str, body: Bytes) {
        let mut is_taken = true;
        self.route.with_handle(|handle, client_limits| {
            let packet = packet(client_limits, topic, body);
            is_taken = packet.is_some();
            handle.send(packet);
        });
        self.count(is_taken);
    }

    /// Counts a message that the client cannot take. Not while the route is held, which is locked behind the state.
    fn count(&self, is_taken: bool) {
        if !is_taken {
            self.state.lock().send_queue.not_taken();
        }
    }

    /// The same while something is being fanned out.
    pub(crate) fn deliver_answer(&self, fanout: &mut Fanout<'_>, topic: &str, body: Bytes) {
        let mut is_taken = true;
        self.route.with_handle(
            |handle, client_limits| match packet(client_limits, topic, body) {
                None => is_taken = false,
                Some(packet) => handle.link.deliver_own(fanout, &Message::Binary(packet)),
            },
        );
        self.count(is_taken);
    }

    /// Delivers what a group chose this client for, which another member gets if this one does not.
    pub(crate) fn deliver_shared(
        &self,
        fanout: &mut Fanout<'_>,
        options: SubscriptionOptions,
        group: Arc<dyn Redeliver>,
    ) {
        if self.has_ended() {
            return;
        }
        let effective = EffectiveSubscription::of(options, fanout.publication(), self.kept_qos);
        let state = self.state.lock();
        self.route
            .with(|route| deliver_as(&route, fanout, &effective, state, Some(group)));
    }

    /// What other members of groups may get: this client is gone.
    pub(crate) fn take_redeliveries(&self) -> Vec<Redelivery> {
        self.state.lock().send_queue.take_redeliveries()
    }

    /// Sends a retained message to a new subscription, where the client can take it now.
    pub(crate) fn send_retained(
        &self,
        publication: &Publication,
        options: SubscriptionOptions,
    ) -> RetainedSend {
        let mut state = self.state.lock();
        let sent = self
            .route
            .with(|route| send_retained(&route, publication, options, &mut state));
        sent.unwrap_or(RetainedSend::Away)
    }

    /// Keeps back what is published, until [`open_gate`](Self::open_gate).
    pub(crate) fn close_gate(&self) {
        self.gate.close();
    }

    /// True for a publication that is kept back, by its time.
    pub(crate) fn keeps_back(&self, at: Timetoken) -> bool {
        self.gate.holds(at)
    }

    /// Sends stored messages, and what came meanwhile.
    pub(crate) fn open_gate(&self, read: Vec<Arc<Publication>>, flusher: &Flusher) {
        let known = read.iter().map(|one| one.position().timetoken).collect();
        self.open(&read, &AlreadyRead::These(known), flusher);
    }

    fn open(&self, stored: &[Arc<Publication>], known: &AlreadyRead, flusher: &Flusher) {
        let deliver = |publication: &Publication, was_stored| {
            if was_stored {
                self.replay(publication);
            } else {
                self.deliver_held(publication, flusher);
            }
        };
        // A client for whom more came than may be held was disconnected then; one that is away gets what was held.
        while let Err(overflow) = self.gate.open(stored, known, deliver) {
            for publication in overflow.held.iter().filter(|one| !known.contains(one)) {
                self.deliver_held(publication, flusher);
            }
        }
    }

    fn replay(&self, publication: &Publication) {
        let mut is_taken = true;
        self.route.with(|route| {
            let (Some(handle), Some(Message::Binary(packet))) =
                (route.handle, route.encoders[0].encode(publication))
            else {
                return;
            };
            is_taken = route.client_limits.accepts(packet.len());
            if is_taken {
                handle.send(Some(packet));
            }
        });
        self.count(is_taken);
    }

    fn deliver_now(&self, fanout: &mut Fanout<'_>) {
        if self.needs_own_packet.load(Ordering::Relaxed) {
            return self.deliver_by_subscription(fanout);
        }
        self.route.with(|route| {
            if let Some(handle) = route.handle {
                handle.link.deliver(fanout, &route.encoders[0]);
            }
        });
    }

    /// True for what the client published in the Emitter protocol, where it is known by its connection.
    fn is_known_as(&self, publication: &Publication) -> bool {
        let publisher = publication.publisher.as_ref();
        !publication.is_proven
            && publisher.is_some_and(|id| id.as_str() == self.connection.to_string())
    }

    /// Delivers to a client that wants more than QoS 0, has limits, or may be away.
    fn deliver_by_subscription(&self, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        let is_own = self.has_no_local.load(Ordering::Relaxed)
            && (self.publisher.has_published(publication) || self.is_known_as(publication));
        let state = self.state.lock();
        let Some(topic) = publication.target.channel() else {
            return;
        };
        let held = state.subscriptions.matching(topic);
        let options = held
            .filter(|held| !(is_own && held.options.no_local))
            .map(|held| held.options);
        let effective = options
            .map(|options| EffectiveSubscription::of(options, publication, self.kept_qos))
            .reduce(EffectiveSubscription::and);
        if let Some(effective) = effective {
            self.route
                .with(|route| deliver_as(&route, fanout, &effective, state, None));
        }
    }
}

/// An answer as a packet, where it is not longer than the client takes.
fn packet(limits: &ClientLimits, topic: &str, body: Bytes) -> Option<Bytes> {
    let packet = outgoing::publish(limits.version, QoS::AtMostOnce, topic, None, body, None)?;
    limits.accepts(packet.len()).then_some(packet)
}

/// What became of a retained message.
pub(crate) enum RetainedSend {
    /// It is on its way, or is nothing that the client can take.
    Done,
    /// Too much waits for the client: its link says when less does.
    Full(Link),
    /// The client has as many to confirm as it takes.
    Unconfirmed,
    /// The client is away.
    Away,
}

fn send_retained(
    route: &RouteRef<'_>,
    publication: &Publication,
    options: SubscriptionOptions,
    state: &mut SubscriberState,
) -> RetainedSend {
    let Some(handle) = route.handle else {
        return RetainedSend::Away;
    };
    // MQTT alone retains, and says with which QoS.
    let qos = options
        .qos
        .less_value(message_properties::qos(publication, QoS::AtMostOnce));
    let encoder = &route.encoders[usize::from(qos.value())];
    let Some(Message::Binary(packet)) = encoder.encode(publication) else {
        return RetainedSend::Done;
    };
    let mut packet = publish_rewrite::retained(&packet);
    if route.client_limits.version == Version::V5 {
        let ids: Vec<_> = options.id.into_iter().collect();
        packet = publish_rewrite::with_subscriptions(packet, &ids);
    }
    let packet_bytes = packet.len() + state.alias_bytes();
    if !route.client_limits.accepts(packet_bytes) {
        state.send_queue.not_taken();
        return RetainedSend::Done;
    }
    if !handle.link.is_at_pace(packet_bytes) {
        return RetainedSend::Full(handle.link.clone());
    }
    if qos == QoS::AtMostOnce {
        handle.send(Some(state.aliases.apply(packet)));
        return RetainedSend::Done;
    }
    let queued = queued(route.client_limits, packet, publication);
    match state.send_queue.enqueue_if_sent(queued) {
        Ok(Some(packet)) => handle.send(Some(state.aliases.apply(packet))),
        Ok(None) => {}
        Err(HasToWait) => return RetainedSend::Unconfirmed,
    }
    RetainedSend::Done
}

fn queued(client_limits: &ClientLimits, packet: Bytes, publication: &Publication) -> QueuedPublish {
    QueuedPublish {
        packet,
        version: client_limits.version,
        at: publication.position().timetoken,
        expires: message_properties::expires(publication),
    }
}

fn deliver_as(
    route: &RouteRef<'_>,
    fanout: &mut Fanout<'_>,
    effective: &EffectiveSubscription,
    mut state: MutexGuard<'_, SubscriberState>,
    group: Option<Arc<dyn Redeliver>>,
) {
    let (client_limits, encoder) = (
        route.client_limits,
        &route.encoders[usize::from(effective.qos.value())],
    );
    if effective.qos == QoS::AtMostOnce && route.handle.is_none() {
        // Nobody waits for it.
        return;
    }
    let is_shared = effective.is_plain && state.aliases.is_empty();
    if is_shared
        && effective.qos == QoS::AtMostOnce
        && client_limits.packet_bytes_max.is_none()
        && let Some(handle) = route.handle
    {
        drop(state);
        return handle.link.deliver(fanout, encoder);
    }
    let Some(mut packet) = fanout.frame(encoder, Framing::Raw) else {
        return;
    };
    if effective.retain {
        packet = publish_rewrite::retained(&packet);
    }
    if client_limits.version == Version::V5 {
        packet = publish_rewrite::with_subscriptions(packet, &effective.ids);
    }
    // What the client cannot take is as if it had been delivered.
    let packet_bytes = packet.len() + state.alias_bytes();
    if route.handle.is_some() && !client_limits.accepts(packet_bytes) {
        return state.send_queue.not_taken();
    }
    let frame = packet.as_ptr();
    let packet = match effective.qos {
        QoS::AtMostOnce => Ok(Some(packet)),
        _ => {
            let queued = queued(client_limits, packet, fanout.publication());
            let redelivery = group.map(|group| {
                Box::new(Redelivery {
                    publication: fanout.publication().clone(),
                    group,
                })
            });
            let is_here = route.handle.is_some();
            state.send_queue.enqueue(queued, is_here, redelivery)
        }
    };
    let Some(handle) = route.handle else {
        return;
    };
    match packet {
        // The very bytes that others get.
        Ok(Some(packet)) if is_shared && packet.as_ptr() == frame => {
            handle.link.deliver(fanout, encoder);
        }
        Ok(Some(packet)) => {
            let packet = state.aliases.apply(packet);
            handle.link.deliver_own(fanout, &Message::Binary(packet));
        }
        Ok(None) => {}
        Err(QueueFull) => handle.close_slow(),
    }
}

impl Receiver for Subscriber {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        Some(self.publisher.id().clone())
    }

    /// MQTT has no words for it; what Emitter clients watch is told in [messages of its own](crate::emitter_mode).
    fn takes_presence(&self) -> bool {
        false
    }

    /// Where its session may outlive connections, this one ends and the next one does not find it: MQTT has no other
    /// words for it.
    fn gap(&self, target: &Target) {
        let Some(topic) = target.channel() else {
            return;
        };
        let is_promised = |held: &Subscription| held.options.qos != QoS::AtMostOnce;
        let has_promised = || {
            let state = self.state.lock();
            state.subscriptions.matching(topic).any(is_promised)
        };
        if self.ended_sessions.is_none() || !has_promised() {
            return;
        }
        self.has_gap.store(true, Ordering::Release);
        let reason = DisconnectReasonCode::AdministrativeAction;
        self.route
            .with_handle(|handle, _| handle.disconnect(reason));
    }

    fn end(&self, why: &EndReason) {
        self.has_ended.store(true, Ordering::Release);
        let reason = match why {
            EndReason::Disconnected(_) => DisconnectReasonCode::AdministrativeAction,
            _ => DisconnectReasonCode::NotAuthorized,
        };
        self.route
            .with_handle(|handle, _| handle.disconnect(reason));
        if let Some(ended) = &self.ended_sessions {
            ended.add(self.publisher.session().as_str());
        }
    }

    fn subscribed(&self, channel: &Channel) {
        let filter = Filter::Channel(channel.clone());
        if !self.state.lock().subscriptions.contains(&filter) {
            let options = SubscriptionOptions::of_qos(QoS::AtLeastOnce);
            // Where there is no room it gets nothing of it: it did not ask for it.
            let _ = self.subscribe(Subscription {
                filter,
                options,
                by_server: true,
            });
        }
    }

    fn unsubscribed(&self, channel: &Channel) {
        self.unsubscribe(&Filter::Channel(channel.clone()));
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        match self.gate.decide(fanout.publication()) {
            GateDecision::Deliver => self.deliver_now(fanout),
            GateDecision::Keep => {}
            GateDecision::Overflow => self.route.with_handle(|handle, _| handle.close_slow()),
        }
    }
}
