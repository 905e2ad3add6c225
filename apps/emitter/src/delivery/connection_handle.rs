//! One connection of a client: packets to it, its end, and its keep-alive.

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use polywire_core::{
    Counter,
    delivery::{Link, Message},
    transport::{CloseReason, Tick},
};
use rmqtt_codec::v5::DisconnectReasonCode;
use tokio::time::sleep;

use super::{
    client_limits::ClientLimits,
    keep_alive::{KeepAlive, Silence},
};
use crate::codec::outgoing;

/// One connection of a client.
pub(crate) struct ConnectionHandle {
    pub(crate) link: Link,
    /// Known since CONNECT.
    client_limits: OnceLock<ClientLimits>,
    keep_alive: KeepAlive,
    /// CONNECT has come, and the client waits for its answer.
    is_admitting: AtomicBool,
    /// Packets that did not come, or did not end, in time.
    late_packets: Arc<Counter>,
    /// Connections for which too much waited.
    slow: Arc<Counter>,
}

impl ConnectionHandle {
    /// A connection that has not said CONNECT, and has so many seconds for it; later its client has `packet_secs` for a
    /// packet that it began.
    pub(crate) fn new(
        link: Link,
        now: u64,
        connect_secs: u64,
        packet_secs: u64,
        late_packets: Arc<Counter>,
        slow: Arc<Counter>,
    ) -> Self {
        Self {
            link,
            client_limits: OnceLock::new(),
            keep_alive: KeepAlive::new(now, connect_secs, packet_secs),
            is_admitting: AtomicBool::new(false),
            late_packets,
            slow,
        }
    }

    /// Its client has said CONNECT: how long the answer takes, such as where another node has its session, is not the
    /// client's time.
    pub(crate) fn admitting(&self) {
        self.is_admitting.store(true, Ordering::Relaxed);
    }

    /// Its client has said CONNECT, and is let in.
    pub(crate) fn connected(self: &Arc<Self>, client_limits: ClientLimits, keep_alive_secs: u16) {
        self.keep_alive.set(keep_alive_secs);
        // A client connects once.
        let _ = self.client_limits.set(client_limits);
        if self.keep_alive.short_left().is_some() {
            tokio::spawn(Self::watch(Arc::downgrade(self)));
        }
    }

    /// Watches a client that promised packets more often than the timer wheel turns, as long as it is connected.
    async fn watch(handle: Weak<Self>) {
        loop {
            let Some(own) = handle.upgrade() else {
                return;
            };
            let Some(left) = own.keep_alive.short_left() else {
                return;
            };
            if left.is_zero() {
                return own.is_late();
            }
            drop(own);
            sleep(left).await;
        }
    }

    fn is_late(&self) {
        self.late_packets.add();
        self.disconnect(DisconnectReasonCode::KeepAliveTimeout);
    }

    /// The answer to CONNECT is on its way.
    pub(crate) fn admitted(&self, now: u64) {
        self.heard(now);
        self.is_admitting.store(false, Ordering::Relaxed);
    }

    /// A whole packet of its client has come, in this second of the timer wheel.
    pub(crate) fn heard(&self, now: u64) {
        self.keep_alive.heard(now);
    }

    /// A part of a packet has come, and not its end.
    pub(crate) fn unfinished(&self, now: u64) {
        self.keep_alive.unfinished(now);
    }

    pub(crate) fn send(&self, packet: Option<Bytes>) {
        if let Some(packet) = packet {
            self.link.send(&Message::Binary(packet));
        }
    }

    /// Ends the connection, with the reason where the version has a word for it.
    pub(crate) fn disconnect(&self, reason: DisconnectReasonCode) {
        if let Some(client_limits) = self.client_limits.get() {
            let last = outgoing::disconnect(client_limits.version, reason);
            self.send(last.filter(|packet| client_limits.accepts(packet.len())));
        }
        self.close();
    }

    /// Ends a connection for which more waits than may.
    pub(crate) fn close_slow(&self) {
        self.slow.add();
        self.link.close(&CloseReason::SLOW_CONSUMER);
    }

    /// Ends the connection after what was sent.
    pub(crate) fn close(&self) {
        self.link.close(&CloseReason::new(1000, ""));
    }
}

impl Tick for ConnectionHandle {
    fn tick(&self, now: u64) -> Option<u64> {
        if self.is_admitting.load(Ordering::Relaxed) {
            return Some(1);
        }
        match self.keep_alive.silence(now) {
            Silence::Allowed(secs) => Some(secs),
            Silence::TooLong => {
                self.is_late();
                None
            }
        }
    }

    fn stop(&self) {
        self.disconnect(DisconnectReasonCode::ServerShuttingDown);
    }
}
