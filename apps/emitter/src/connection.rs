//! One connection: from bytes to what its packets do.

use std::{
    net::SocketAddr,
    sync::{Arc, Weak, atomic::Ordering},
};

use bytes::{Bytes, BytesMut};
use polywire_core::delivery::Link;
use rmqtt_codec::v5::DisconnectReasonCode;

use crate::{
    admission::{Admission, Refused},
    connect::Connect,
    contact::Contact,
    face::{Faces, zero_id},
    incoming::Incoming,
    reader::{BadLength, PacketReader},
    sessions::Seat,
    shared::Shared,
    version::Version,
};

enum Stage {
    /// CONNECT has not come.
    New,
    Connected(Version, Arc<Seat>),
    Ended,
}

/// One connection.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    contact: Arc<Contact>,
    peer: Option<SocketAddr>,
    faces: Faces,
    reader: PacketReader,
    stage: Stage,
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<Shared>,
        link: Link,
        peer: Option<SocketAddr>,
        faces: Faces,
    ) -> Self {
        let wheel = shared.space.runtime().wheel();
        let connect_secs = shared.space.limits().header_secs;
        let contact = Arc::new(Contact::new(link, wheel.now(), connect_secs));
        let weak: Weak<Contact> = Arc::downgrade(&contact);
        wheel.add(weak, connect_secs + 1);
        Self {
            reader: PacketReader::new(shared.packet_bytes_max),
            shared,
            contact,
            peer,
            faces,
            stage: Stage::New,
        }
    }

    /// Takes bytes, cut anywhere.
    pub(crate) async fn take(&mut self, bytes: Bytes) {
        self.contact
            .heard(self.shared.space.runtime().wheel().now());
        self.reader.push(bytes);
        let mut packets = 0;
        loop {
            match &self.stage {
                Stage::Ended => break,
                Stage::New => {}
                Stage::Connected(_, seat) => {
                    let mut next = self.reader.next_ack();
                    if next.is_some() {
                        let mut place = seat.session.lock().await;
                        while let Some(ack) = next {
                            packets += 1;
                            if let Some(session) = place.as_mut() {
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
                    self.packet(packet).await;
                }
                Ok(None) => break,
                Err(BadLength::TooLong) => self.fail(DisconnectReasonCode::PacketTooLarge).await,
                Err(BadLength::Malformed) => {
                    self.fail(DisconnectReasonCode::MalformedPacket).await;
                }
            }
        }
        let received = &self.shared.packets_received;
        received.fetch_add(packets, Ordering::Relaxed);
    }

    /// The connection has ended.
    pub(crate) async fn closed(&mut self) {
        self.end().await;
    }

    async fn packet(&mut self, mut packet: BytesMut) {
        let Stage::Connected(version, seat) = &self.stage else {
            // Boxed, so that a connected client does not carry room for it.
            return Box::pin(self.connect(packet)).await;
        };
        let lent = *version == Version::V3 && zero_id::lend(&mut packet);
        let outcome = match Incoming::decode(*version, packet) {
            Ok(incoming) => match seat.session.lock().await.as_mut() {
                Some(session) => session.take(incoming, lent, &self.shared).await,
                // Another connection has taken it.
                None => Ok(false),
            },
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                self.contact.close();
                self.end().await;
            }
            Err(reason) => self.fail(reason).await,
        }
    }

    async fn connect(&mut self, packet: BytesMut) {
        let admitted = match Connect::decode(packet) {
            Ok(connect) => {
                let admission = Admission {
                    shared: &self.shared,
                    contact: &self.contact,
                    peer: self.peer,
                    faces: self.faces,
                };
                let version = connect.version;
                admission.admit(connect).await.map(|seat| (version, seat))
            }
            Err(last) => Err(Refused(last)),
        };
        match admitted {
            Ok((version, seat)) => {
                self.shared.sessions.came();
                self.stage = Stage::Connected(version, seat);
            }
            Err(Refused(last)) => {
                if !last.is_empty() {
                    self.contact.send(Some(last));
                }
                self.contact.close();
                self.stage = Stage::Ended;
            }
        }
    }

    /// Ends the connection for a fault of the client.
    async fn fail(&mut self, reason: DisconnectReasonCode) {
        tracing::debug!(peer = ?self.peer, ?reason, "closed a client");
        self.contact.disconnect(reason);
        self.end().await;
    }

    /// Leaves everything, or lets the session wait for its client; the will is published unless the client took it
    /// back.
    async fn end(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        if let Stage::Connected(_, seat) = stage {
            self.shared.sessions.went();
            Box::pin(self.shared.sessions.part(&self.shared, &seat)).await;
        }
    }
}
