//! A client, as the hub sees it: what is delivered to its session.

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard, RwLock};
use polywire_core::{
    ClientId, ConnectionId, Publication,
    delivery::{Encoder, Fanout, Flusher, Message, Receiver},
    transport::{CloseReason, Framing},
};
use rmqtt_codec::types::QoS;

use crate::{
    about::{self, About},
    contact::{Contact, Terms},
    face::{Fate, Hold},
    in_flight::{InFlight, OnItsWay, TooMuch, Window},
    line::{Line, Place, Wire},
    outgoing,
    own::{self, ALIAS_BYTES, Aliases},
    parcel::Parcel,
    sessions::Kept,
    subscription::{Filter, Subscription, Wish},
    version::Version,
};

/// The wire formats, by quality.
pub(crate) type Encoders = [Arc<dyn Encoder>; 3];

/// What changes while it is connected.
struct State {
    subscriptions: Vec<Subscription>,
    in_flight: InFlight,
    aliases: Aliases,
}

/// A client, for as long as its session lasts.
pub(crate) struct Client {
    connection: ConnectionId,
    id: ClientId,
    line: Line,
    hold: Hold,
    /// Some subscription wants more than quality 0, the client has limits, or it may be away: each message is looked at.
    is_choosy: AtomicBool,
    state: Mutex<State>,
}

impl Client {
    /// A client whose session ends with its connection.
    pub(crate) fn new(
        connection: ConnectionId,
        id: ClientId,
        contact: Arc<Contact>,
        terms: Terms,
        in_flight: InFlight,
        aliases: Aliases,
    ) -> Self {
        Self {
            connection,
            id,
            line: Line::fixed(contact, terms),
            hold: Hold::default(),
            is_choosy: AtomicBool::new(terms.packet_bytes_max.is_some() || !aliases.is_empty()),
            state: Mutex::new(State {
                subscriptions: Vec::new(),
                in_flight,
                aliases,
            }),
        }
    }

    /// A client whose session may outlive its connections; it is away until it [comes](Self::come).
    pub(crate) fn lasting(
        connection: ConnectionId,
        id: ClientId,
        terms: Terms,
        encoders: Encoders,
        in_flight: InFlight,
    ) -> Self {
        Self {
            connection,
            id,
            line: Line::Changing(RwLock::new(Place {
                terms,
                encoders,
                contact: None,
            })),
            hold: Hold::default(),
            is_choosy: AtomicBool::new(true),
            state: Mutex::new(State {
                subscriptions: Vec::new(),
                in_flight,
                aliases: Aliases::default(),
            }),
        }
    }

    /// Takes up what was written down of a session, and what was held meanwhile and is not among that.
    pub(crate) fn take_up(&self, kept: Kept, on_its_way: Option<OnItsWay>, flusher: &Flusher) {
        let Kept { waiting, known } = kept;
        self.state.lock().in_flight.restore(waiting, on_its_way);
        self.hold.end(Vec::new(), known, |publication, _| {
            self.deliver_held(publication, flusher);
        });
    }

    fn deliver_held(&self, publication: &Publication, flusher: &Flusher) {
        let mut dirty = Vec::new();
        self.deliver_now(&mut Fanout::new(publication, flusher, &mut dirty));
        flusher.submit(&mut dirty);
    }

    /// The client has a connection, with these wire formats; it gets what it has not confirmed, and what waits.
    pub(crate) fn come(
        &self,
        contact: &Arc<Contact>,
        terms: Terms,
        encoders: Encoders,
        window: Window,
        aliases: Aliases,
    ) {
        let Line::Changing(place) = &self.line else {
            return;
        };
        // What is delivered meanwhile waits, and comes behind.
        let mut state = self.state.lock();
        *place.write() = Place {
            terms,
            encoders,
            contact: Some(contact.clone()),
        };
        state.aliases = aliases;
        state.in_flight.resume(window);
        self.send_next(&mut state);
    }

    /// The client has no connection any more; what is for it waits.
    pub(crate) fn go(&self) {
        if let Line::Changing(place) = &self.line {
            place.write().contact = None;
        }
    }

    /// The client's name.
    pub(crate) fn id(&self) -> &ClientId {
        &self.id
    }

    /// What is on its way to it.
    pub(crate) fn on_its_way(&self) -> OnItsWay {
        self.state.lock().in_flight.on_its_way()
    }

    /// What it is subscribed to.
    pub(crate) fn subscriptions(&self) -> Vec<Subscription> {
        self.state.lock().subscriptions.clone()
    }

    /// The wire formats of the face that the client sees: before that it is subscribed to nothing.
    pub(crate) fn speak(&self, encoders: Encoders) {
        self.line.speak(encoders);
    }

    pub(crate) fn send(&self, packet: Option<Bytes>) {
        self.line.with_contact(|contact, _| contact.send(packet));
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
                if state.subscriptions.capacity() == 0 {
                    // Most clients have one; a vector that grows by itself would begin with room for four.
                    state.subscriptions.reserve_exact(1);
                }
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
        let mut state = self.state.lock();
        state.in_flight.done(id);
        self.send_next(&mut state);
    }

    /// Sends what can be sent now. The lock is held until it is: short names of topics count from then on.
    fn send_next(&self, state: &mut State) {
        self.line.with_contact(|contact, _| {
            while let Some(packet) = state.in_flight.next() {
                contact.send(Some(state.aliases.apply(packet)));
            }
        });
    }

    /// The client has a message of quality 2; false for one that it was not sent.
    pub(crate) fn release(&self, id: NonZeroU16) -> bool {
        self.state.lock().in_flight.release(id)
    }

    /// Sends an answer that nobody subscribed to.
    pub(crate) fn answer(&self, topic: &str, body: Bytes) {
        self.line.with_contact(|contact, terms| {
            contact.send(packet(terms, topic, body));
        });
    }

    /// The same while something is being fanned out.
    pub(crate) fn deliver_answer(&self, fanout: &mut Fanout<'_>, topic: &str, body: Bytes) {
        self.line.with_contact(|contact, terms| {
            if let Some(packet) = packet(terms, topic, body) {
                contact.link.deliver_own(fanout, &Message::Binary(packet));
            }
        });
    }

    /// Delivers what a group chose this client for.
    pub(crate) fn deliver_shared(&self, fanout: &mut Fanout<'_>, wish: Wish) {
        let wanted = Wanted::of(wish, fanout.publication());
        let state = self.state.lock();
        self.line
            .with(|wire| deliver_as(&wire, fanout, &wanted, state));
    }

    /// Sends a retained message to a new subscription.
    pub(crate) fn send_retained(&self, publication: &Publication, wish: Wish) {
        let mut state = self.state.lock();
        self.line
            .with(|wire| send_retained(&wire, publication, wish, &mut state));
    }

    /// Keeps back what is published, until [`let_through`](Self::let_through).
    pub(crate) fn hold(&self) {
        self.hold.begin();
    }

    /// Sends stored messages, and what came meanwhile.
    pub(crate) fn let_through(&self, read: Vec<Arc<Publication>>, flusher: &Flusher) {
        let known = read.iter().map(|one| one.position().timetoken).collect();
        self.hold
            .end(read, known, |publication, was_read| match was_read {
                true => self.replay(publication),
                false => self.deliver_held(publication, flusher),
            });
    }

    fn replay(&self, publication: &Publication) {
        self.line.with(|wire| {
            if let (Some(contact), Some(Message::Binary(packet))) =
                (wire.contact, wire.encoders[0].encode(publication))
                && wire.terms.take(packet.len())
            {
                contact.send(Some(packet));
            }
        });
    }

    fn deliver_now(&self, fanout: &mut Fanout<'_>) {
        if self.is_choosy.load(Ordering::Relaxed) {
            return self.deliver_chosen(fanout);
        }
        self.line.with(|wire| {
            if let Some(contact) = wire.contact {
                contact.link.deliver(fanout, &wire.encoders[0]);
            }
        });
    }

    /// Delivers to a client that wants more than quality 0, has limits, or may be away.
    fn deliver_chosen(&self, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        let is_own = publication.publisher.as_ref() == Some(&self.id);
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
            self.line
                .with(|wire| deliver_as(&wire, fanout, &wanted, state));
        }
    }
}

/// An answer as a packet, where it is not longer than the client takes.
fn packet(terms: &Terms, topic: &str, body: Bytes) -> Option<Bytes> {
    let packet = outgoing::publish(terms.version, QoS::AtMostOnce, topic, None, body, None)?;
    terms.take(packet.len()).then_some(packet)
}

fn send_retained(wire: &Wire<'_>, publication: &Publication, wish: Wish, state: &mut State) {
    let qos = wish.qos.less_value(about::qos(publication));
    let encoder = &wire.encoders[usize::from(qos.value())];
    let (Some(contact), Some(Message::Binary(packet))) =
        (wire.contact, encoder.encode(publication))
    else {
        return;
    };
    let ids: Vec<_> = wish.id.into_iter().collect();
    let packet = own::with_subscriptions(own::retained(&packet), &ids);
    if !wire.terms.take(packet.len()) {
        return;
    }
    let packet = match qos {
        QoS::AtMostOnce => Ok(Some(packet)),
        _ => {
            let parcel = parcel(wire.terms, packet, publication);
            state.in_flight.take(parcel, true)
        }
    };
    match packet {
        Ok(Some(packet)) => contact.send(Some(state.aliases.apply(packet))),
        Ok(None) => {}
        Err(TooMuch) => contact.link.close(&CloseReason::SLOW_CONSUMER),
    }
}

fn parcel(terms: &Terms, packet: Bytes, publication: &Publication) -> Parcel {
    Parcel {
        packet,
        version: terms.version,
        at: publication.position().timetoken,
        expires: about::expires(publication),
    }
}

fn deliver_as(
    wire: &Wire<'_>,
    fanout: &mut Fanout<'_>,
    wanted: &Wanted,
    mut state: MutexGuard<'_, State>,
) {
    let (terms, encoder) = (wire.terms, &wire.encoders[usize::from(wanted.qos.value())]);
    if wanted.qos == QoS::AtMostOnce && wire.contact.is_none() {
        // Nobody waits for it.
        return;
    }
    let is_shared = wanted.is_plain && state.aliases.is_empty();
    if is_shared
        && wanted.qos == QoS::AtMostOnce
        && terms.packet_bytes_max.is_none()
        && let Some(contact) = wire.contact
    {
        drop(state);
        return contact.link.deliver(fanout, encoder);
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
    if wire.contact.is_some() && !terms.take(packet.len() + more) {
        return;
    }
    let frame = packet.as_ptr();
    let packet = match wanted.qos {
        QoS::AtMostOnce => Ok(Some(packet)),
        _ => {
            let parcel = parcel(terms, packet, fanout.publication());
            state.in_flight.take(parcel, wire.contact.is_some())
        }
    };
    let Some(contact) = wire.contact else {
        return;
    };
    match packet {
        // The very bytes that others get.
        Ok(Some(packet)) if is_shared && packet.as_ptr() == frame => {
            contact.link.deliver(fanout, encoder);
        }
        Ok(Some(packet)) => {
            let packet = state.aliases.apply(packet);
            contact.link.deliver_own(fanout, &Message::Binary(packet));
        }
        Ok(None) => {}
        Err(TooMuch) => contact.link.close(&CloseReason::SLOW_CONSUMER),
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
            Fate::TooMuch => self
                .line
                .with_contact(|contact, _| contact.link.close(&CloseReason::SLOW_CONSUMER)),
        }
    }
}
