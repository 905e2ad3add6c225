//! What goes out on a reliable connection, and what is kept until the client has acknowledged it.

use std::{
    collections::VecDeque,
    io::Write,
    time::{Duration, Instant},
};

use bytes::Bytes;
use polywire_core::{
    delivery::{Fanout, Link, Message},
    transport::CloseReason,
};

/// What is kept for a client that was cut off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BufferLimits {
    pub(crate) messages_max: usize,
    pub(crate) bytes_max: usize,
}

/// What a message costs besides its text.
const OVERHEAD: usize = 64;

/// The end of a message, with its sequence id.
struct End([u8; END_MAX]);

/// Room for `,"sequenceId":`, 20 digits and a brace.
const END_MAX: usize = 36;

impl Default for End {
    fn default() -> Self {
        Self([0; END_MAX])
    }
}

impl End {
    fn of(&mut self, id: u64) -> &[u8] {
        let room = self.0.len();
        let mut free = &mut self.0[..];
        // There is room for every number.
        let _ = write!(free, ",\"sequenceId\":{id}}}");
        let end = room - free.len();
        &self.0[..end]
    }
}

const OVERFLOWN: CloseReason =
    CloseReason::new(1008, "Too many messages are waiting to be acknowledged");
const TAKEN_OVER: CloseReason = CloseReason::new(1001, "The connection goes on elsewhere");

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// It is kept until it is acknowledged, and sent where a client is there.
    Kept,
    /// It was too much, and the connection has ended.
    Overflown,
    /// The connection had ended before.
    Ended,
}

/// What goes out on a reliable connection. Whoever holds it decides the order: what is replayed and what is new
/// goes one way.
pub(crate) struct Output {
    link: Option<Link>,
    /// Counts the sockets that it had.
    socket: u64,
    next: u64,
    kept: VecDeque<Kept>,
    bytes: usize,
    limits: BufferLimits,
    ended: bool,
}

struct Kept {
    id: u64,
    /// The message up to its sequence id; shared by all connections that got it.
    body: Bytes,
    expires: Option<Instant>,
}

impl Output {
    pub(crate) fn new(link: Link, limits: BufferLimits) -> Self {
        Self {
            link: Some(link),
            socket: 1,
            next: 1,
            kept: VecDeque::new(),
            bytes: 0,
            limits,
            ended: false,
        }
    }

    /// The number of the socket that it has now.
    pub(crate) fn socket(&self) -> u64 {
        self.socket
    }

    /// Sends what has no sequence id, if anybody is there.
    pub(crate) fn send(&self, message: &Message) {
        if let Some(link) = &self.link {
            link.send(message);
        }
    }

    /// Sends a message, whose end follows its sequence id.
    pub(crate) fn deliver(
        &mut self,
        body: &Bytes,
        ttl: Option<Duration>,
        fanout: Option<&mut Fanout<'_>>,
    ) -> Delivered {
        if self.ended {
            return Delivered::Ended;
        }
        let id = self.next;
        self.next += 1;
        let mut end = End::default();
        let parts = [&body[..], end.of(id)];
        match (&self.link, fanout) {
            (Some(link), Some(fanout)) => link.deliver_parts(fanout, &parts),
            (Some(link), None) => link.send_parts(&parts),
            (None, _) => {}
        }
        self.bytes += body.len() + OVERHEAD;
        self.kept.push_back(Kept {
            id,
            body: body.clone(),
            expires: ttl.map(|ttl| Instant::now() + ttl),
        });
        if self.kept.len() > self.limits.messages_max || self.bytes > self.limits.bytes_max {
            self.end(&OVERFLOWN);
            return Delivered::Overflown;
        }
        Delivered::Kept
    }

    /// The client has everything up to this id.
    pub(crate) fn acknowledged(&mut self, id: u64) {
        if id >= self.next {
            return;
        }
        while self.kept.front().is_some_and(|first| first.id <= id) {
            if let Some(first) = self.kept.pop_front() {
                self.bytes -= first.body.len() + OVERHEAD;
            }
        }
        if self.kept.is_empty() && self.kept.capacity() > 64 {
            self.kept = VecDeque::new();
        }
    }

    /// Goes on with another socket: first `hello`, then what was not acknowledged. The number of the socket; `None`
    /// when the connection has ended.
    pub(crate) fn recover(&mut self, link: Link, hello: &Message) -> Option<u64> {
        if self.ended {
            return None;
        }
        let now = Instant::now();
        let expired = |kept: &Kept| kept.expires.is_some_and(|expires| expires <= now);
        if self.kept.iter().any(expired) {
            self.kept.retain(|kept| !expired(kept));
            self.bytes = self
                .kept
                .iter()
                .map(|kept| kept.body.len() + OVERHEAD)
                .sum();
        }
        link.send(hello);
        for kept in &self.kept {
            let mut end = End::default();
            link.send_parts(&[&kept.body, end.of(kept.id)]);
        }
        self.socket += 1;
        if let Some(old) = self.link.replace(link) {
            old.close(&TAKEN_OVER);
        }
        Some(self.socket)
    }

    /// The socket of this number was lost. True when it was the one that was in use.
    pub(crate) fn lost(&mut self, socket: u64) -> bool {
        if self.socket != socket {
            return false;
        }
        self.link = None;
        !self.ended
    }

    /// True when nobody has come back since the socket of this number.
    pub(crate) fn is_lost_since(&self, socket: u64) -> bool {
        self.socket == socket && self.link.is_none()
    }

    /// Ends the connection for good.
    pub(crate) fn end(&mut self, reason: &CloseReason) {
        self.ended = true;
        self.kept = VecDeque::new();
        self.bytes = 0;
        if let Some(link) = self.link.take() {
            link.close(reason);
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_room() {
        for id in [0, 7, u64::MAX] {
            let mut end = End::default();
            let expected = format!(",\"sequenceId\":{id}}}");
            assert_eq!(end.of(id), expected.as_bytes());
        }
    }
}
