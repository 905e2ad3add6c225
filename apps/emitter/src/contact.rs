//! One connection of a client, and the clock that watches it.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use polywire_core::{
    delivery::{Link, Message},
    transport::{CloseReason, Tick},
};
use rmqtt_codec::v5::DisconnectReasonCode;

use crate::{outgoing, version::Version};

/// Seconds that the clock looks ahead, at most.
const LOOK_SECS_MAX: u64 = 60;

/// What a client said of itself when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) version: Version,
    pub(crate) packet_bytes_max: Option<usize>,
}

impl Terms {
    /// True when a packet of so many bytes may be sent.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        self.packet_bytes_max.is_none_or(|max| bytes <= max)
    }
}

/// One connection of a client.
pub(crate) struct Contact {
    pub(crate) link: Link,
    /// Known since CONNECT.
    terms: OnceLock<Terms>,
    /// When it was last heard, in seconds of the wheel.
    heard: AtomicU64,
    /// Seconds that it may say nothing; 0 for ever.
    silence_max: AtomicU64,
}

impl Contact {
    /// A connection that has not said CONNECT, and has so many seconds for it.
    pub(crate) fn new(link: Link, now: u64, connect_secs: u64) -> Self {
        Self {
            link,
            terms: OnceLock::new(),
            heard: AtomicU64::new(now),
            silence_max: AtomicU64::new(connect_secs.max(1)),
        }
    }

    pub(crate) fn connected(&self, terms: Terms, keep_alive_secs: u16) {
        // Half as long again as the client said, never less.
        let silence_max = u64::from(keep_alive_secs) * 3;
        self.silence_max
            .store(silence_max.div_ceil(2), Ordering::Relaxed);
        // A client connects once.
        let _ = self.terms.set(terms);
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
            self.send(last.filter(|packet| terms.take(packet.len())));
        }
        self.close();
    }

    /// Ends the connection after what was sent.
    pub(crate) fn close(&self) {
        self.link.close(&CloseReason::new(1000, ""));
    }
}

impl Tick for Contact {
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
