//! A connected client, as the hub and the clock see it.

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use polywire_core::{
    ClientId, ConnectionId, Publication,
    delivery::{Encoder, Fanout, Flusher, Link, Message, Receiver},
    transport::{CloseReason, Framing, Tick},
};
use rmqtt_codec::{types::QoS, v5::DisconnectReasonCode};

use crate::{
    about::{self, About},
    face::{Fate, Hold},
    in_flight::{InFlight, TooMuch},
    outgoing,
    own::{self, ALIAS_BYTES, Aliases},
    subscription::{Filter, Subscription, Wish},
    version::Version,
};

/// Seconds that the clock looks ahead, at most.
const LOOK_SECS_MAX: u64 = 60;

/// The wire formats, by quality.
pub(crate) type Encoders = [Arc<dyn Encoder>; 3];

/// What is known of a client since its CONNECT.
pub(crate) struct Terms {
    pub(crate) version: Version,
    pub(crate) client: ClientId,
    pub(crate) packet_bytes_max: Option<usize>,
}

/// What changes while it is connected.
struct State {
    subscriptions: Vec<Subscription>,
    in_flight: InFlight,
    aliases: Aliases,
}

/// A client.
pub(crate) struct Client {
    connection: ConnectionId,
    link: Link,
    terms: OnceLock<Terms>,
    /// Known when the face is.
    encoders: OnceLock<Encoders>,
    hold: Hold,
    /// Some subscription wants more than quality 0, or the client has limits: each message is looked at.
    is_choosy: AtomicBool,
    state: Mutex<State>,
    /// When it was last heard, in seconds of the wheel.
    heard: AtomicU64,
    /// Seconds that it may say nothing; 0 for ever.
    silence_max: AtomicU64,
}

impl Client {
    /// A client that has not said CONNECT, and has so many seconds for it.
    pub(crate) fn new(connection: ConnectionId, link: Link, now: u64, connect_secs: u64) -> Self {
        Self {
            connection,
            link,
            terms: OnceLock::new(),
            encoders: OnceLock::new(),
            hold: Hold::default(),
            is_choosy: AtomicBool::new(false),
            state: Mutex::new(State {
                subscriptions: Vec::new(),
                in_flight: InFlight::new(0, 0),
                aliases: Aliases::default(),
            }),
            heard: AtomicU64::new(now),
            silence_max: AtomicU64::new(connect_secs.max(1)),
        }
    }

    pub(crate) fn connected(
        &self,
        terms: Terms,
        in_flight: InFlight,
        aliases: Aliases,
        keep_alive_secs: u16,
    ) {
        // Half as long again as the client said, never less.
        let silence_max = u64::from(keep_alive_secs) * 3;
        self.silence_max
            .store(silence_max.div_ceil(2), Ordering::Relaxed);
        let is_choosy = terms.packet_bytes_max.is_some() || !aliases.is_empty();
        self.is_choosy.store(is_choosy, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.in_flight = in_flight;
        state.aliases = aliases;
        drop(state);
        // A client connects once.
        let _ = self.terms.set(terms);
    }

    /// The wire formats of the face that the client sees: before that it is subscribed to nothing.
    pub(crate) fn speak(&self, encoders: Encoders) {
        // A client sees one face.
        let _ = self.encoders.set(encoders);
    }

    pub(crate) fn heard(&self, now: u64) {
        self.heard.store(now, Ordering::Relaxed);
    }

    pub(crate) fn send(&self, packet: Option<Bytes>) {
        if let Some(packet) = packet {
            self.link.send(&Message::Binary(packet));
        }
    }

    /// Ends the connection, with the reason where the version has a word for it.
    pub(crate) fn disconnect(&self, reason: DisconnectReasonCode) {
        if let Some(terms) = self.terms.get() {
            let last = outgoing::disconnect(terms.version, reason);
            let max = terms.packet_bytes_max.unwrap_or(usize::MAX);
            self.send(last.filter(|packet| packet.len() <= max));
        }
        self.close();
    }

    /// Ends the connection after what was sent.
    pub(crate) fn close(&self) {
        self.link.close(&CloseReason::new(1000, ""));
    }

    /// Takes a subscription, in the place of one to the same filter, which is returned.
    pub(crate) fn subscribe(&self, subscription: Subscription) -> Option<Subscription> {
        if !subscription.wish.is_plain() {
            self.is_choosy.store(true, Ordering::Relaxed);
        }
        let mut state = self.state.lock();
        let same = |held: &&mut Subscription| held.filter == subscription.filter;
        match state.subscriptions.iter_mut().find(same) {
            Some(held) => Some(std::mem::replace(held, subscription)),
            None => {
                state.subscriptions.push(subscription);
                None
            }
        }
    }

    pub(crate) fn unsubscribe(&self, filter: &Filter) {
        let mut state = self.state.lock();
        state.subscriptions.retain(|held| held.filter != *filter);
    }

    /// The client is done with a message.
    pub(crate) fn done(&self, id: NonZeroU16) {
        // Sent before the lock is given back: short names of topics count from then on.
        let mut state = self.state.lock();
        if let Some(next) = state.in_flight.done(id) {
            self.send(Some(state.aliases.apply(next)));
        }
    }

    /// The client has a message of quality 2; false for one that it was not sent.
    pub(crate) fn release(&self, id: NonZeroU16) -> bool {
        self.state.lock().in_flight.release(id)
    }

    /// Sends an answer that nobody subscribed to.
    pub(crate) fn answer(&self, topic: &str, body: Bytes) {
        self.send(self.packet(topic, body));
    }

    /// The same while something is being fanned out.
    pub(crate) fn deliver_answer(&self, fanout: &mut Fanout<'_>, topic: &str, body: Bytes) {
        if let Some(packet) = self.packet(topic, body) {
            self.link.deliver_own(fanout, &Message::Binary(packet));
        }
    }

    fn packet(&self, topic: &str, body: Bytes) -> Option<Bytes> {
        let terms = self.terms.get()?;
        let packet = outgoing::publish(terms.version, QoS::AtMostOnce, topic, None, body, None)?;
        let max = terms.packet_bytes_max.unwrap_or(usize::MAX);
        (packet.len() <= max).then_some(packet)
    }

    /// Delivers what a group chose this client for.
    pub(crate) fn deliver_shared(&self, fanout: &mut Fanout<'_>, wish: Wish) {
        if let (Some(terms), Some(encoders)) = (self.terms.get(), self.encoders.get()) {
            let wanted = Wanted::of(wish, fanout.publication());
            self.deliver_as(terms, encoders, fanout, &wanted, self.state.lock());
        }
    }

    /// Sends a retained message to a new subscription.
    pub(crate) fn send_retained(&self, publication: &Publication, wish: Wish) {
        let (Some(terms), Some(encoders)) = (self.terms.get(), self.encoders.get()) else {
            return;
        };
        let qos = wish.qos.less_value(about::qos(publication));
        let Some(Message::Binary(packet)) = encoders[usize::from(qos.value())].encode(publication)
        else {
            return;
        };
        let ids: Vec<_> = wish.id.into_iter().collect();
        let packet = own::with_subscriptions(own::retained(&packet), &ids);
        if terms.packet_bytes_max.is_some_and(|max| packet.len() > max) {
            return;
        }
        let mut state = self.state.lock();
        let packet = match qos {
            QoS::AtMostOnce => Ok(Some(packet)),
            _ => state.in_flight.take(&packet),
        };
        match packet {
            Ok(Some(packet)) => self.send(Some(state.aliases.apply(packet))),
            Ok(None) => {}
            Err(TooMuch) => self.link.close(&CloseReason::SLOW_CONSUMER),
        }
    }

    /// Keeps back what is published, until [`let_through`](Self::let_through).
    pub(crate) fn hold(&self) {
        self.hold.begin();
    }

    /// Sends stored messages, and what came meanwhile.
    pub(crate) fn let_through(&self, read: Vec<Arc<Publication>>, flusher: &Flusher) {
        self.hold.end(read, |publication, was_read| {
            if was_read {
                return self.replay(publication);
            }
            let mut dirty = Vec::new();
            self.deliver_now(&mut Fanout::new(publication, flusher, &mut dirty));
            flusher.submit(&mut dirty);
        });
    }

    fn replay(&self, publication: &Publication) {
        let packet = self.encoders.get().and_then(|to| to[0].encode(publication));
        let max = self.terms.get().and_then(|terms| terms.packet_bytes_max);
        if let Some(Message::Binary(packet)) = packet
            && max.is_none_or(|max| packet.len() <= max)
        {
            self.send(Some(packet));
        }
    }

    fn deliver_now(&self, fanout: &mut Fanout<'_>) {
        let (Some(terms), Some(encoders)) = (self.terms.get(), self.encoders.get()) else {
            return;
        };
        if self.is_choosy.load(Ordering::Relaxed) {
            self.deliver_chosen(terms, encoders, fanout);
        } else {
            self.link.deliver(fanout, &encoders[0]);
        }
    }

    /// Delivers to a client that wants more than quality 0, or has limits.
    fn deliver_chosen(&self, terms: &Terms, encoders: &Encoders, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        let is_own = publication.publisher.as_ref() == Some(&terms.client);
        let state = self.state.lock();
        let Some(topic) = publication.target.channel() else {
            return;
        };
        let held = state.subscriptions.iter();
        let wishes = held
            .filter(|held| held.filter.matches(topic) && !(is_own && held.wish.no_local))
            .map(|held| held.wish);
        let wanted = wishes
            .map(|wish| Wanted::of(wish, publication))
            .reduce(Wanted::and);
        if let Some(wanted) = wanted {
            self.deliver_as(terms, encoders, fanout, &wanted, state);
        }
    }

    fn deliver_as(
        &self,
        terms: &Terms,
        encoders: &Encoders,
        fanout: &mut Fanout<'_>,
        wanted: &Wanted,
        mut state: MutexGuard<'_, State>,
    ) {
        let encoder = &encoders[usize::from(wanted.qos.value())];
        let is_shared = wanted.is_plain && state.aliases.is_empty();
        if is_shared && wanted.qos == QoS::AtMostOnce && terms.packet_bytes_max.is_none() {
            drop(state);
            return self.link.deliver(fanout, encoder);
        }
        let Some(mut packet) = fanout.frame(encoder, Framing::Raw) else {
            return;
        };
        if wanted.retain {
            packet = own::retained(&packet);
        }
        if terms.version == Version::V5 {
            packet = own::with_subscriptions(packet, &wanted.ids);
        }
        // What the client cannot take is as if it had been delivered.
        let more = if state.aliases.is_empty() {
            0
        } else {
            ALIAS_BYTES
        };
        if terms
            .packet_bytes_max
            .is_some_and(|max| packet.len() + more > max)
        {
            return;
        }
        if is_shared && wanted.qos == QoS::AtMostOnce {
            drop(state);
            return self.link.deliver(fanout, encoder);
        }
        let packet = match wanted.qos {
            QoS::AtMostOnce => Ok(Some(packet)),
            _ => state.in_flight.take(&packet),
        };
        match packet {
            Ok(Some(packet)) => {
                let packet = state.aliases.apply(packet);
                self.link.deliver_own(fanout, &Message::Binary(packet));
            }
            Ok(None) => {}
            Err(TooMuch) => self.link.close(&CloseReason::SLOW_CONSUMER),
        }
    }
}

/// How a client gets a publication, by all of its subscriptions that it was found by.
struct Wanted {
    qos: QoS,
    ids: Vec<NonZeroU32>,
    retain: bool,
    /// Nothing but the quality, and with it the packet id, differs from what others get.
    is_plain: bool,
}

impl Wanted {
    fn of(wish: Wish, publication: &Publication) -> Self {
        let is_retained = || About::of(publication).is_some_and(|about| about.retain);
        let retain = wish.as_published && is_retained();
        Self {
            qos: wish.qos.less_value(about::qos(publication)),
            ids: wish.id.into_iter().collect(),
            retain,
            is_plain: !retain && wish.id.is_none(),
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.ids.extend(other.ids);
        Self {
            qos: self.qos.max(other.qos),
            ids: self.ids,
            retain: self.retain || other.retain,
            is_plain: self.is_plain && other.is_plain,
        }
    }
}

impl Receiver for Client {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        match self.hold.fate(fanout.publication()) {
            Fate::Deliver => self.deliver_now(fanout),
            Fate::Keep => {}
            Fate::TooMuch => self.link.close(&CloseReason::SLOW_CONSUMER),
        }
    }
}

impl Tick for Client {
    fn tick(&self, now: u64) -> Option<u64> {
        let max = self.silence_max.load(Ordering::Relaxed);
        if max == 0 {
            return None;
        }
        let silent = now.saturating_sub(self.heard.load(Ordering::Relaxed));
        // The clock has whole seconds: one more is never too early.
        if silent > max {
            self.disconnect(DisconnectReasonCode::KeepAliveTimeout);
            return None;
        }
        Some((max + 1 - silent).min(LOOK_SECS_MAX))
    }

    fn stop(&self) {
        self.disconnect(DisconnectReasonCode::ServerShuttingDown);
    }
}
