//! One connection: from bytes to what its packets do.

use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
};

use bytes::{Bytes, BytesMut};
use polywire_core::{Turn, delivery::Link};
use rmqtt_codec::v5::DisconnectReasonCode;

use super::admission::{Admission, Refused};
use crate::{
    codec::{
        connect::Connect,
        incoming::Incoming,
        reader::{BadLength, PacketReader},
        version::Version,
        zero_packet_id,
    },
    delivery::connection_handle::ConnectionHandle,
    session::{
        dispatch::{Handled, PendingAnswer},
        publish::Unconfirmed,
        state::Session,
    },
    sessions::{manager::SessionManager, slot::SessionSlot},
    settings::Faces,
};

enum Stage {
    /// CONNECT has not come.
    New,
    Connected(Version, Arc<SessionSlot>),
    Ended,
}

/// Answers to SUBSCRIBE and UNSUBSCRIBE that wait until the session was written down, at most.
const ANSWERS_MAX: usize = 1000;

/// Messages of which it was told together for which room is kept.
const ANSWERS_KEPT: usize = 16;

/// Whether a connection goes on behind a packet.
enum Next {
    GoesOn,
    Answers(PendingAnswer),
    Published(Unconfirmed),
    Ends,
}

/// True for SUBSCRIBE and UNSUBSCRIBE.
fn changes_subscriptions(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(0x82 | 0xa2))
}

/// True for PUBLISH of QoS 0 and 1. One of QoS 2 may be another one sent again, of which it must be known what became of it.
fn joins_unconfirmed(packet: &[u8]) -> bool {
    packet
        .first()
        .is_some_and(|first| first >> 4 == 3 && first & 4 == 0)
}

/// One connection.
pub(crate) struct Connection {
    sessions: Arc<SessionManager>,
    handle: Arc<ConnectionHandle>,
    peer: Option<SocketAddr>,
    faces: Faces,
    reader: PacketReader,
    stage: Stage,
    /// To what came together: a session with thousands of subscriptions is not written down for each.
    answers: Vec<PendingAnswer>,
    /// Messages that came together, and are stored together.
    unconfirmed: Vec<Unconfirmed>,
}

impl Connection {
    pub(crate) fn new(
        sessions: Arc<SessionManager>,
        link: Link,
        peer: Option<SocketAddr>,
        faces: Faces,
    ) -> Self {
        let broker = &sessions.context.broker;
        let wheel = broker.space.runtime().wheel();
        let limits = broker.space.limits();
        let (connect_secs, packet_secs) = (limits.header_secs, limits.body_secs);
        let (late, slow) = (broker.late_packets.clone(), broker.slow.clone());
        let now = wheel.now();
        let handle = ConnectionHandle::new(link, now, connect_secs, packet_secs, late, slow);
        let handle = Arc::new(handle);
        let weak: Weak<ConnectionHandle> = Arc::downgrade(&handle);
        wheel.add(weak, connect_secs + 1);
        Self {
            reader: PacketReader::new(broker.packet_bytes_max),
            sessions,
            handle,
            peer,
            faces,
            stage: Stage::New,
            answers: Vec::new(),
            unconfirmed: Vec::new(),
        }
    }

    /// Takes bytes, cut anywhere.
    pub(crate) async fn take(&mut self, bytes: Bytes, turn: &mut Turn) {
        self.reader.push(bytes);
        let mut packets = 0;
        loop {
            match &self.stage {
                Stage::Ended => break,
                Stage::New => {}
                Stage::Connected(_, slot) => {
                    let mut next = self.reader.next_ack();
                    if next.is_some() {
                        self.handle.heard(self.now());
                        let mut held = slot.session.lock().await;
                        while let Some(ack) = next {
                            packets += 1;
                            if let Some(session) = held.as_mut() {
                                session.acknowledged(ack);
                            }
                            next = self.reader.next_ack();
                        }
                    }
                }
            }
            match self.reader.next() {
                Ok(Some(packet)) => {
                    packets += 1;
                    self.handle.heard(self.now());
                    if !changes_subscriptions(&packet) || self.answers.len() >= ANSWERS_MAX {
                        self.answer().await;
                    }
                    if !joins_unconfirmed(&packet) || self.unconfirmed.len() >= ANSWERS_MAX {
                        self.confirm().await;
                    }
                    if let Stage::Ended = self.stage {
                        break;
                    }
                    self.packet(packet).await;
                    turn.give_way().await;
                }
                Ok(None) => {
                    self.answer().await;
                    self.confirm().await;
                    break;
                }
                Err(BadLength::TooLong) => self.fault(DisconnectReasonCode::PacketTooLarge).await,
                Err(BadLength::NoRoom) => self.fault(DisconnectReasonCode::ServerBusy).await,
                Err(BadLength::Malformed) => {
                    self.fault(DisconnectReasonCode::MalformedPacket).await;
                }
            }
        }
        self.sessions.context.broker.counters.received(packets);
        // What was done with packets took time too, and none of the client's.
        if packets > 0 {
            self.handle.heard(self.now());
        }
        if !self.reader.is_empty() {
            self.handle.unfinished(self.now());
        }
    }

    /// This second of the timer wheel.
    fn now(&self) -> u64 {
        let runtime = self.sessions.context.broker.space.runtime();
        runtime.wheel().now()
    }

    /// The connection has ended.
    pub(crate) async fn closed(&mut self) {
        self.end().await;
    }

    async fn packet(&mut self, mut packet: BytesMut) {
        let Stage::Connected(version, slot) = &self.stage else {
            // Boxed, so that a connected client does not carry room for it.
            return Box::pin(self.connect(packet)).await;
        };
        let substituted = *version == Version::V3 && zero_packet_id::substitute(&mut packet);
        let outcome = match Incoming::decode(*version, packet) {
            Ok(incoming) => match slot.session.lock().await.as_mut() {
                Some(session) => {
                    let context = &self.sessions.context;
                    match session.handle(incoming, substituted, context).await {
                        Ok(handled) => self.behind(session, handled),
                        Err(reason) => Err(reason),
                    }
                }
                // Another connection has taken it.
                None => Ok(Next::Ends),
            },
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(Next::GoesOn) => {}
            Ok(Next::Answers(answer)) => self.answers.push(answer),
            Ok(Next::Published(unconfirmed)) => self.unconfirmed.push(unconfirmed),
            Ok(Next::Ends) => {
                self.handle.close();
                self.end().await;
            }
            Err(reason) => self.fault(reason).await,
        }
    }

    /// How the connection goes on behind a packet.
    fn behind(
        &self,
        session: &mut Session,
        handled: Handled,
    ) -> Result<Next, DisconnectReasonCode> {
        match handled {
            Handled::Done => Ok(Next::GoesOn),
            Handled::Disconnected => Ok(Next::Ends),
            // In the order of the messages: none overtakes one that is being stored.
            Handled::Published(unconfirmed) if !self.unconfirmed.is_empty() => {
                Ok(Next::Published(unconfirmed))
            }
            Handled::Published(unconfirmed) => match unconfirmed.now() {
                Ok(confirmation) => session.confirm(confirmation).map(|()| Next::GoesOn),
                Err(pending) => Ok(Next::Published(pending)),
            },
            Handled::SubscriptionsChanged(answer) => Ok(Next::Answers(answer)),
        }
    }

    /// Answers what the client subscribed to, and unsubscribed from, once that is written down.
    async fn answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        let answers = std::mem::take(&mut self.answers);
        let Stage::Connected(_, slot) = &self.stage else {
            return;
        };
        let mut held = slot.session.lock().await;
        // Otherwise another connection has taken it, and was told what it is subscribed to.
        let Some(session) = held.as_mut() else {
            return;
        };
        let remembered = match session.is_persistent() {
            true => Box::pin(remember(&self.sessions, session)).await,
            false => Ok(()),
        };
        match remembered {
            Ok(()) => session.answer(answers, &self.sessions.context).await,
            Err(reason) => {
                drop(held);
                self.fail(reason).await;
            }
        }
    }

    /// Tells the client what became of its messages, once that is known.
    async fn confirm(&mut self) {
        if self.unconfirmed.is_empty() {
            return;
        }
        let mut confirmations = Vec::with_capacity(self.unconfirmed.len());
        for unconfirmed in self.unconfirmed.drain(..) {
            confirmations.push(unconfirmed.outcome().await);
        }
        if self.unconfirmed.capacity() > ANSWERS_KEPT {
            self.unconfirmed = Vec::new();
        }
        let Stage::Connected(_, slot) = &self.stage else {
            return;
        };
        let mut held = slot.session.lock().await;
        // Otherwise another connection has taken it: the client sends again what it was not told of.
        let Some(session) = held.as_mut() else {
            return;
        };
        let mut confirmed = confirmations.into_iter();
        if let Err(reason) = confirmed.try_for_each(|one| session.confirm(one)) {
            drop(held);
            self.fail(reason).await;
        }
    }

    async fn connect(&mut self, packet: BytesMut) {
        let admitted = match Connect::decode(packet) {
            Ok(connect) => {
                let admission = Admission {
                    sessions: &self.sessions,
                    handle: &self.handle,
                    peer: self.peer,
                    faces: self.faces,
                };
                let version = connect.version;
                admission.admit(&connect).await.map(|slot| (version, slot))
            }
            Err(last) => Err(Refused(last)),
        };
        match admitted {
            Ok((version, slot)) => {
                self.sessions.context.broker.counters.client_connected();
                self.stage = Stage::Connected(version, slot);
            }
            Err(Refused(last)) => {
                if !last.is_empty() {
                    self.handle.send(Some(last));
                }
                self.handle.close();
                self.stage = Stage::Ended;
            }
        }
    }

    /// Ends the connection for a fault of the client, behind what it is to be told of what it sent before.
    async fn fault(&mut self, reason: DisconnectReasonCode) {
        self.confirm().await;
        if !matches!(self.stage, Stage::Ended) {
            self.fail(reason).await;
        }
    }

    /// Ends the connection.
    async fn fail(&mut self, reason: DisconnectReasonCode) {
        tracing::debug!(peer = ?self.peer, ?reason, "closed a client");
        self.handle.disconnect(reason);
        self.end().await;
    }

    /// Leaves everything, or lets the session wait for its client; the will is published unless the client took it
    /// back.
    async fn end(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        if let Stage::Connected(_, slot) = stage {
            self.sessions.context.broker.counters.client_disconnected();
            Box::pin(self.sessions.connection_closed(&slot)).await;
        }
    }
}

/// Writes down what a session is subscribed to now. A client that is not told that it was tries again.
async fn remember(
    sessions: &SessionManager,
    session: &mut Session,
) -> Result<(), DisconnectReasonCode> {
    let remembered = sessions.remember(session).await;
    remembered.map_err(|error| {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, client = %session.id, "a session cannot be written down");
        DisconnectReasonCode::UnspecifiedError
    })
}
