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
    session::{dispatch::Handled, state::Session},
    sessions::{manager::SessionManager, slot::SessionSlot},
    settings::Faces,
};

enum Stage {
    /// CONNECT has not come.
    New,
    Connected(Version, Arc<SessionSlot>),
    Ended,
}

/// Whether a connection goes on behind a packet.
#[derive(PartialEq, Eq)]
enum Next {
    GoesOn,
    Ends,
}

/// One connection.
pub(crate) struct Connection {
    sessions: Arc<SessionManager>,
    handle: Arc<ConnectionHandle>,
    peer: Option<SocketAddr>,
    faces: Faces,
    reader: PacketReader,
    stage: Stage,
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
        let late = broker.late_packets.clone();
        let handle = ConnectionHandle::new(link, wheel.now(), connect_secs, packet_secs, late);
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
                    self.packet(packet).await;
                    turn.give_way().await;
                }
                Ok(None) => break,
                Err(BadLength::TooLong) => self.fail(DisconnectReasonCode::PacketTooLarge).await,
                Err(BadLength::NoRoom) => self.fail(DisconnectReasonCode::ServerBusy).await,
                Err(BadLength::Malformed) => {
                    self.fail(DisconnectReasonCode::MalformedPacket).await;
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
                Some(session) => self.handle(session, incoming, substituted).await,
                // Another connection has taken it.
                None => Ok(Next::Ends),
            },
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(Next::GoesOn) => {}
            Ok(Next::Ends) => {
                self.handle.close();
                self.end().await;
            }
            Err(reason) => self.fail(reason).await,
        }
    }

    async fn handle(
        &self,
        session: &mut Session,
        incoming: Incoming,
        substituted: bool,
    ) -> Result<Next, DisconnectReasonCode> {
        let context = &self.sessions.context;
        match session.handle(incoming, substituted, context).await? {
            Handled::Done => Ok(Next::GoesOn),
            Handled::Disconnected => Ok(Next::Ends),
            Handled::SubscriptionsChanged(answer) => {
                if session.is_persistent() {
                    Box::pin(self.remember(session)).await?;
                }
                session.answer(answer, context).await;
                Ok(Next::GoesOn)
            }
        }
    }

    /// Writes down what a session is subscribed to now. A client that is not told that it was tries again.
    async fn remember(&self, session: &mut Session) -> Result<(), DisconnectReasonCode> {
        let remembered = self.sessions.remember(session).await;
        remembered.map_err(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, client = %session.id, "a session cannot be written down");
            DisconnectReasonCode::UnspecifiedError
        })
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

    /// Ends the connection for a fault of the client.
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
