//! Bounds that apply to every app.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::settings::{MemoryBytes, Problem, Settings};

/// The least budget of memory: a server that serves nobody takes a part of it.
const MEMORY_BYTES_MIN: usize = 64 << 20;

/// `[limits]`: what one client may take. Every bound has a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one message or request body; more is refused. Default 1 MiB.
    pub message_bytes_max: usize,
    /// Bytes of a channel name or a client id; longer ones are refused. Default 1024.
    pub name_bytes_max: usize,
    /// Channels of one connection; one more is refused. Default 1024.
    pub channels_per_connection_max: usize,
    /// Members of all channels on all nodes, where a client on two channels counts twice; a client above that is served
    /// and does not count as present. Default 1,000,000.
    pub members_max: usize,
    /// Members that one connection makes, on this node; also of requests without a session, such as PubNub's. A client above
    /// that is served and does not count as present. Default 10,000.
    pub members_per_connection_max: usize,
    /// Members that the connections from one address make, on this node. Default 250,000.
    pub members_per_address_max: usize,
    /// Reads of history that may be under way for clients; one more waits for its turn a few seconds, and is then answered
    /// that it should come again. Default 32.
    pub history_reads_max: usize,
    /// Those for clients of one address. Default 8.
    pub history_reads_per_address_max: usize,
    /// Bytes of history that may be in memory until clients have taken them; what has no room waits as above. Default
    /// 256 MiB.
    pub history_bytes_max: usize,
    /// Those for clients of one address. Default 64 MiB.
    pub history_bytes_per_address_max: usize,
    /// Connections of the process; one more is closed at once. Default 100,000.
    pub connections_max: usize,
    /// Connections from one address; one more is closed at once. Default 50,000.
    pub connections_per_address_max: usize,
    /// Connections that may have said nothing for [`header_secs`](Self::header_secs), where MQTT or kn-sock is served beside
    /// HTTP, whose clients may connect before they have something to say; with one more, the one that is silent for longest is
    /// closed. Default 10,000.
    pub silent_connections_max: usize,
    /// Those from one address. Default 1,000.
    pub silent_connections_per_address_max: usize,
    /// Bytes that may wait for one connection; a client that is further behind is closed. Default 4 MiB.
    pub outbound_bytes_max: usize,
    /// Control frames and empty fragments of a WebSocket that may come in ten seconds; more closes it with 1008. They
    /// carry no data, and a client needs a few. Default 1000.
    pub idle_frames_max: u32,
    /// Seconds that a client may take nothing while something waits for it; then it is closed. Default 30.
    pub outbound_stall_secs: u64,
    /// Bytes that the process may hold for all clients: a number, a share of the memory such as `"60%"`, or `"off"`. What
    /// is shed first stands in the guarantees. Default off.
    pub memory_bytes: MemoryBytes,
    /// Seconds in which what a connection begins with must be complete: the TLS handshake, and then again the head of a request,
    /// or the first line or packet. They count from the connect where only HTTP is served, and else from the first byte.
    /// Default 5.
    pub header_secs: u64,
    /// Wrong credentials that may come from one address (IPv6: from a /64) at once, and then one in six seconds; what was not
    /// judged before is refused meanwhile. 0 is no throttle. Default 10.
    pub wrong_credentials_max: u32,
    /// TLS handshakes that may be under way; one more waits for its turn, and is closed when that does not come within
    /// [`header_secs`](Self::header_secs). Default 4096.
    pub tls_handshakes_max: usize,
    /// Seconds in which the body of a request must be complete, and a message of a WebSocket, a packet of MQTT or a line of kn-sock that has begun.
    /// Default 30.
    pub body_secs: u64,
    /// Seconds that an HTTP connection may wait for its next request. Default 75.
    pub keep_alive_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 1 << 20,
            name_bytes_max: 1024,
            channels_per_connection_max: 1024,
            members_max: 1_000_000,
            members_per_connection_max: 10_000,
            members_per_address_max: 250_000,
            history_reads_max: 32,
            history_reads_per_address_max: 8,
            history_bytes_max: 256 << 20,
            history_bytes_per_address_max: 64 << 20,
            connections_max: 100_000,
            connections_per_address_max: 50_000,
            silent_connections_max: 10_000,
            silent_connections_per_address_max: 1_000,
            outbound_bytes_max: 4 << 20,
            idle_frames_max: 1000,
            outbound_stall_secs: 30,
            memory_bytes: MemoryBytes::Off,
            header_secs: 5,
            wrong_credentials_max: 10,
            tls_handshakes_max: 4096,
            body_secs: 30,
            keep_alive_secs: 75,
        }
    }
}

impl Settings for Limits {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::zeros([
            ("message_bytes_max", self.message_bytes_max == 0),
            ("name_bytes_max", self.name_bytes_max == 0),
            (
                "channels_per_connection_max",
                self.channels_per_connection_max == 0,
            ),
            ("members_max", self.members_max == 0),
            (
                "members_per_connection_max",
                self.members_per_connection_max == 0,
            ),
            ("members_per_address_max", self.members_per_address_max == 0),
            ("history_reads_max", self.history_reads_max == 0),
            (
                "history_reads_per_address_max",
                self.history_reads_per_address_max == 0,
            ),
            ("history_bytes_max", self.history_bytes_max == 0),
            (
                "history_bytes_per_address_max",
                self.history_bytes_per_address_max == 0,
            ),
            ("connections_max", self.connections_max == 0),
            (
                "connections_per_address_max",
                self.connections_per_address_max == 0,
            ),
            ("silent_connections_max", self.silent_connections_max == 0),
            (
                "silent_connections_per_address_max",
                self.silent_connections_per_address_max == 0,
            ),
            ("outbound_bytes_max", self.outbound_bytes_max == 0),
            ("idle_frames_max", self.idle_frames_max == 0),
            ("outbound_stall_secs", self.outbound_stall_secs == 0),
            ("header_secs", self.header_secs == 0),
            ("tls_handshakes_max", self.tls_handshakes_max == 0),
            ("body_secs", self.body_secs == 0),
            ("keep_alive_secs", self.keep_alive_secs == 0),
        ]);
        if self
            .memory_bytes
            .bytes()
            .is_some_and(|bytes| bytes < MEMORY_BYTES_MIN)
        {
            problems.push(Problem::new(
                "memory_bytes",
                "must be at least 67108864, which is 64 MiB; less is not enough for the server itself",
            ));
        }
        problems
    }
}

impl Limits {
    /// [`header_secs`](Self::header_secs) as a duration.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_secs)
    }

    /// [`body_secs`](Self::body_secs) as a duration.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_secs)
    }

    /// [`keep_alive_secs`](Self::keep_alive_secs) as a duration.
    pub fn keep_alive_timeout(&self) -> Duration {
        Duration::from_secs(self.keep_alive_secs)
    }

    /// [`outbound_stall_secs`](Self::outbound_stall_secs) as a duration.
    pub fn outbound_stall(&self) -> Duration {
        Duration::from_secs(self.outbound_stall_secs)
    }
}
