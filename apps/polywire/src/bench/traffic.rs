//! Traffic of a measurement: what is on its way, and what arrived.

use super::{connection::Connection, histogram::Histogram, record::Record};

/// Counts of one measurement.
pub(super) struct Traffic {
    /// Subscribers of each channel that are still connected.
    subscribers: Vec<u64>,
    /// Messages published to each channel.
    numbers: Vec<u32>,
    pub(super) published: u64,
    /// Deliveries that all these publications should cause.
    pub(super) expected: u64,
    pub(super) delivered: u64,
    /// Deliveries that nobody is there for any more.
    written_off: u64,
    /// Deliveries that did not follow the one before.
    pub(super) disordered: u64,
    /// Connections that the server closed.
    pub(super) closed: u64,
    pub(super) latency: Histogram,
}

impl Traffic {
    /// For channels with so many subscribers each.
    pub(super) fn new(subscribers: Vec<u64>) -> Self {
        Self {
            numbers: vec![0; subscribers.len()],
            subscribers,
            published: 0,
            expected: 0,
            delivered: 0,
            written_off: 0,
            disordered: 0,
            closed: 0,
            latency: Histogram::new(),
        }
    }

    /// Counts a publication and returns its number on the channel, from 1.
    pub(super) fn publish(&mut self, channel: usize) -> u32 {
        self.published += 1;
        self.expected += self.subscribers[channel];
        self.numbers[channel] += 1;
        self.numbers[channel]
    }

    /// Counts a delivery that arrived `now`, in nanoseconds of the same clock as the record's.
    pub(super) fn deliver(&mut self, connection: &mut Connection, record: Record, now: u64) {
        connection.reached = true;
        if record.number == 0 {
            return;
        }
        connection.received += 1;
        self.delivered += 1;
        self.disordered += u64::from(record.number != connection.last.wrapping_add(1));
        connection.last = record.number;
        self.latency.add(now.saturating_sub(record.nanos));
    }

    /// Counts a connection that the server closed.
    pub(super) fn close(&mut self, connection: &Connection, is_subscriber: bool) {
        self.closed += 1;
        if is_subscriber {
            let channel = connection.client.channel;
            self.subscribers[channel] -= 1;
            self.written_off += u64::from(self.numbers[channel]) - connection.received;
        }
    }

    /// Deliveries that were not received yet.
    pub(super) fn in_flight(&self) -> u64 {
        (self.expected - self.delivered).saturating_sub(self.written_off)
    }

    pub(super) fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.delivered)
    }
}
