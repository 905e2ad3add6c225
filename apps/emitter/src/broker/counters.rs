//! Counters of clients and packets of this node, which `$SYS` topics tell.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Counters {
    connected: AtomicUsize,
    sessions: AtomicUsize,
    packets_received: AtomicU64,
}

impl Counters {
    /// A connection begins to use a session.
    pub(crate) fn client_connected(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended.
    pub(crate) fn client_disconnected(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets how many client ids are known.
    pub(crate) fn set_sessions(&self, count: usize) {
        self.sessions.store(count, Ordering::Relaxed);
    }

    /// Counts packets of clients, once for what comes together.
    pub(crate) fn received(&self, packets: u64) {
        self.packets_received.fetch_add(packets, Ordering::Relaxed);
    }

    /// Clients that have a connection.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// Clients with those that are away.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Packets of all clients since the start.
    pub(crate) fn packets_received(&self) -> u64 {
        self.packets_received.load(Ordering::Relaxed)
    }
}
