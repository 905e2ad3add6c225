//! The send queue of a client: messages of QoS 1 and 2 that are inflight, with their packet ids, and those that wait
//! until the inflight window has room, or the client is back.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU16,
    sync::Arc,
};

use bytes::Bytes;
use polywire_core::Counter;

use super::{
    budget::Budget, inflight_snapshot::InflightSnapshot, inflight_window::InflightWindow,
    packet_id_map::PacketIdMap, queue_log::QueueLog, queued_publish::QueuedPublish,
    redelivery::Redelivery,
};
use crate::codec::{
    encoder::{id_of, with_id},
    outgoing,
    version::Version,
};

/// Bytes that a session counts that outlives its connections, besides what waits for its client.
pub(crate) const SESSION_COST: usize = 4 << 10;

/// More waits than may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// A message cannot be sent before the client has confirmed others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HasToWait;

/// A message, with its place in the order of the session.
#[derive(Debug)]
struct NumberedPublish {
    number: u64,
    queued: QueuedPublish,
    /// Where a group chose this client for it.
    redelivery: Option<Box<Redelivery>>,
}

/// A message that has a packet id.
#[derive(Debug)]
struct Sent {
    number: u64,
    /// QoS 2: the client has it, and was told to forget its packet id.
    is_released: bool,
    /// To be sent again, where another connection may have to.
    queued: Option<Box<QueuedPublish>>,
    /// What it takes of the room for what other members may get.
    redelivery: Option<(usize, Box<Redelivery>)>,
}

/// What a session adds that outlives its connections.
#[derive(Debug)]
struct Persistent {
    budget: Arc<Budget>,
    log: Option<QueueLog>,
}

/// Gives packet ids, and holds back what is more than the client takes at a time.
///
/// For a session that outlives its connections it keeps what was sent until the client has it. The oldest of what
/// waits there makes room for what comes.
#[derive(Debug)]
pub(crate) struct SendQueue {
    window: InflightWindow,
    last_id: u16,
    last_number: u64,
    sent: PacketIdMap<Sent>,
    /// Those of them that have to be sent again, in their order.
    again: VecDeque<u16>,
    waiting: VecDeque<NumberedPublish>,
    /// Of what waits, and of what is kept to be sent again.
    bytes: usize,
    bytes_max: usize,
    /// Of what was sent and other members of a group may get.
    redelivered_bytes: usize,
    persistent: Option<Persistent>,
    /// Messages that the client cannot take.
    not_taken: Arc<Counter>,
}

impl SendQueue {
    /// For a session that ends with its connection.
    pub(crate) fn new(window: InflightWindow, bytes_max: usize, not_taken: Arc<Counter>) -> Self {
        Self {
            window,
            last_id: 0,
            last_number: 0,
            sent: PacketIdMap::default(),
            again: VecDeque::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            bytes_max,
            redelivered_bytes: 0,
            persistent: None,
            not_taken,
        }
    }

    /// For a session that outlives its connections.
    pub(crate) fn persistent(
        window: InflightWindow,
        bytes_max: usize,
        budget: Arc<Budget>,
        log: Option<QueueLog>,
        not_taken: Arc<Counter>,
    ) -> Self {
        budget.add(SESSION_COST);
        let mut queue = Self::new(window, bytes_max + SESSION_COST, not_taken);
        queue.bytes = SESSION_COST;
        queue.persistent = Some(Persistent { budget, log });
        queue
    }

    /// Takes up what was written down: messages by number, and what is known of their ends. What was sent comes
    /// again with the [next connection](Self::resume).
    pub(crate) fn restore(
        &mut self,
        messages: Vec<(u64, QueuedPublish)>,
        known: Option<InflightSnapshot>,
    ) {
        // After a crash nobody knows which ids the client may remember: some of its messages come again with others.
        let known = known.unwrap_or_else(|| InflightSnapshot {
            last_id: rand::random(),
            ..InflightSnapshot::default()
        });
        self.last_id = known.last_id;
        let last = messages.last().map_or(0, |(number, _)| *number);
        self.last_number = last.max(known.last_number);
        let unconfirmed = known.sent.iter().filter(|(.., is_released)| !is_released);
        let ids: HashMap<u64, u16> = unconfirmed.map(|(number, id, _)| (*number, *id)).collect();
        for (number, queued) in messages {
            if !queued.is_taken() {
                self.not_taken();
                self.forget(number, None);
                continue;
            }
            if let Some(id) = ids.get(&number) {
                self.add(queued.cost());
                self.sent_before(*id, number, Some(queued));
            } else if known.still_waits(number) {
                self.add(queued.cost());
                self.waiting.push_back(NumberedPublish {
                    number,
                    queued,
                    redelivery: None,
                });
            } else if !known.sent.iter().any(|(sent, ..)| *sent == number) {
                self.forget(number, None);
            }
        }
        for (number, id, is_released) in known.sent {
            if is_released {
                self.sent_before(id, number, None);
            }
        }
    }

    fn sent_before(&mut self, id: u16, number: u64, queued: Option<QueuedPublish>) {
        let sent = Sent {
            number,
            is_released: queued.is_none(),
            queued: queued.map(Box::new),
            redelivery: None,
        };
        self.sent.insert(id, sent);
    }

    /// What has not come to its end.
    pub(crate) fn inflight_snapshot(&self) -> InflightSnapshot {
        let sent = self.sent.iter();
        let mut waiting: Vec<(u64, u64)> = Vec::new();
        for message in &self.waiting {
            match waiting.last_mut() {
                Some((_, last)) if *last + 1 == message.number => *last = message.number,
                _ => waiting.push((message.number, message.number)),
            }
        }
        InflightSnapshot {
            waiting,
            last_id: self.last_id,
            last_number: self.last_number,
            sent: sent
                .map(|(id, sent)| (sent.number, *id, sent.is_released))
                .collect(),
        }
    }

    /// The packet to send now, with its id, which are the very bytes that were queued where that can be; `None` when it has
    /// to wait, as it has to for a client that is away. `redelivery`: other members of a group may get it.
    pub(crate) fn enqueue(
        &mut self,
        queued: QueuedPublish,
        is_here: bool,
        redelivery: Option<Box<Redelivery>>,
    ) -> Result<Option<Bytes>, QueueFull> {
        let cost = queued.cost();
        if is_here && self.can_send(cost) && self.can_redeliver(cost, redelivery.as_deref()) {
            return Ok(self.send_now(queued, redelivery));
        }
        let message = self.next_in_order(queued, redelivery);
        if message.queued.cannot_wait() {
            return Ok(None);
        }
        while !self.has_room(cost) {
            if self.persistent.is_none() {
                return Err(QueueFull);
            }
            let Some(oldest) = self.waiting.pop_front() else {
                return Ok(None);
            };
            self.forget(oldest.number, Some(&oldest.queued));
        }
        self.add(cost);
        self.write_down(&message);
        self.waiting.push_back(message);
        Ok(None)
    }

    /// The same for a message that does not wait here: its client takes it now, or whoever has it keeps it.
    pub(crate) fn enqueue_if_sent(
        &mut self,
        queued: QueuedPublish,
    ) -> Result<Option<Bytes>, HasToWait> {
        if self.can_send(queued.cost()) {
            Ok(self.send_now(queued, None))
        } else if self.sent.len() == 0 && self.waiting.is_empty() {
            // There is no room for it at all, and nothing to wait for.
            self.not_taken();
            Ok(None)
        } else {
            Err(HasToWait)
        }
    }

    /// True when a message can be sent before any other.
    fn can_send(&self, cost: usize) -> bool {
        self.again.is_empty()
            && self.waiting.is_empty()
            && self.has_slot()
            && (self.persistent.is_none() || self.has_room(cost))
    }

    /// True for what no other client may get, or what there is room for to be kept for that.
    fn can_redeliver(&self, cost: usize, redelivery: Option<&Redelivery>) -> bool {
        redelivery.is_none()
            || self.redelivered_bytes == 0
            || self.redelivered_bytes + cost <= self.bytes_max
    }

    fn send_now(
        &mut self,
        queued: QueuedPublish,
        redelivery: Option<Box<Redelivery>>,
    ) -> Option<Bytes> {
        let message = self.next_in_order(queued, redelivery);
        if self.persistent.is_some() {
            self.add(message.queued.cost());
            self.write_down(&message);
        }
        self.number(message)
    }

    fn next_in_order(
        &mut self,
        queued: QueuedPublish,
        redelivery: Option<Box<Redelivery>>,
    ) -> NumberedPublish {
        self.last_number += 1;
        NumberedPublish {
            number: self.last_number,
            queued,
            redelivery,
        }
    }

    /// What other members of a group may get, as this client will not: what waits, and of what was sent that of QoS 1. Of
    /// QoS 2 the client may have it.
    pub(crate) fn take_redeliveries(&mut self) -> Vec<Redelivery> {
        let mut sent: Vec<_> = self
            .sent
            .values_mut()
            .filter_map(|sent| Some((sent.number, sent.redelivery.take()?.1)))
            .collect();
        sent.sort_by_key(|(number, _)| *number);
        let sent = sent.into_iter().map(|(_, redelivery)| redelivery);
        let waiting = self.waiting.iter_mut();
        let waiting = waiting.filter_map(|message| message.redelivery.take());
        sent.chain(waiting).map(|redelivery| *redelivery).collect()
    }

    /// The client has a message, or is done with it: ask for the [`next`](Self::next) one.
    pub(crate) fn complete(&mut self, id: NonZeroU16) {
        if let Some(sent) = self.sent.remove(&id.get()) {
            self.again.retain(|again| *again != id.get());
            if let Some((cost, _)) = &sent.redelivery {
                self.redelivered_bytes -= cost;
            }
            self.forget(sent.number, sent.queued.as_deref());
        }
    }

    /// The client has a message of QoS 2; false for one that it was not sent.
    pub(crate) fn received(&mut self, id: NonZeroU16) -> bool {
        let Some(sent) = self.sent.get_mut(&id.get()) else {
            return false;
        };
        sent.is_released = true;
        if let Some(queued) = sent.queued.take() {
            self.subtract(queued.cost());
        }
        true
    }

    /// The client has come back: what it has not confirmed is sent again.
    pub(crate) fn resume(&mut self, window: InflightWindow) {
        if window.version != self.window.version {
            self.translate(window.version);
        }
        self.window = window;
        let mut unconfirmed: Vec<_> = self.sent.iter().collect();
        unconfirmed.sort_by_key(|(_, sent)| sent.number);
        self.again = unconfirmed.into_iter().map(|(id, _)| *id).collect();
    }

    /// The next packet that can be sent.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        while self.has_slot() {
            if let Some(id) = self.again.pop_front() {
                match self.once_more(id) {
                    Some(packet) => return Some(packet),
                    None => continue,
                }
            }
            let first = self.waiting.front()?;
            if !self.can_redeliver(first.queued.cost(), first.redelivery.as_deref()) {
                return None;
            }
            let message = self.waiting.pop_front()?;
            if self.persistent.is_none() {
                self.subtract(message.queued.cost());
            }
            if let Some(packet) = self.number(message) {
                return Some(packet);
            }
        }
        None
    }

    /// A message is dropped that the client cannot take. It holds up nothing that comes behind it.
    pub(crate) fn not_taken(&self) {
        self.not_taken.add();
    }

    /// Fewer are on their way than the client takes.
    fn has_slot(&self) -> bool {
        self.sent.len() - self.again.len() < self.window.messages_max
    }

    fn has_room(&self, cost: usize) -> bool {
        let budget = self
            .persistent
            .as_ref()
            .map(|persistent| &persistent.budget);
        self.bytes + cost <= self.bytes_max && budget.is_none_or(|budget| budget.has_room(cost))
    }

    fn add(&mut self, cost: usize) {
        self.bytes += cost;
        if let Some(persistent) = &self.persistent {
            persistent.budget.add(cost);
        }
    }

    fn subtract(&mut self, cost: usize) {
        self.bytes -= cost;
        if let Some(persistent) = &self.persistent {
            persistent.budget.give_back(cost);
        }
    }

    fn write_down(&self, message: &NumberedPublish) {
        if let Some(log) = self.persistent.as_ref().and_then(|own| own.log.as_ref()) {
            log.enqueue(message.number, &message.queued);
        }
    }

    /// A message does not wait any more.
    fn forget(&mut self, number: u64, queued: Option<&QueuedPublish>) {
        if let Some(queued) = queued {
            self.subtract(queued.cost());
        }
        if let Some(log) = self.persistent.as_ref().and_then(|own| own.log.as_ref()) {
            log.complete(number);
        }
    }

    /// Gives a message an id; `None` for one that nobody wants any more, or that the client cannot take, which is as
    /// if it had been delivered.
    fn number(&mut self, message: NumberedPublish) -> Option<Bytes> {
        let packet = message.queued.packet();
        let is_wanted = packet.is_some();
        let packet = packet.filter(|packet| packet.len() <= self.window.packet_bytes_max);
        let Some(packet) = packet else {
            if is_wanted {
                self.not_taken();
            }
            if self.persistent.is_some() {
                self.forget(message.number, Some(&message.queued));
            }
            return None;
        };
        let id = self.free_id(&packet);
        let (cost, qos_bits) = (
            message.queued.cost(),
            packet.first().map(|first| first & 0b110),
        );
        let is_qos1 = qos_bits == Some(0b010);
        let redelivery = message.redelivery.filter(|_| is_qos1);
        if redelivery.is_some() {
            self.redelivered_bytes += cost;
        }
        let sent = Sent {
            number: message.number,
            is_released: false,
            queued: self.persistent.is_some().then(|| Box::new(message.queued)),
            redelivery: redelivery.map(|redelivery| (cost, redelivery)),
        };
        self.sent.insert(id, sent);
        let is_written = id_of(&packet).is_some_and(|written| written.get() == id);
        Some(if is_written {
            packet
        } else {
            with_id(&packet, id)
        })
    }

    /// The id that a packet was written with, so that its bytes can be shared, or another that is free.
    fn free_id(&mut self, packet: &[u8]) -> u16 {
        if let Some(written) = id_of(packet)
            && !self.sent.contains_key(&written.get())
        {
            return written.get();
        }
        // There are fewer messages than ids, so one is free.
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.sent.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// What was sent to another connection: PUBLISH, or the release of one that the client has.
    fn once_more(&mut self, id: u16) -> Option<Bytes> {
        let packet_id = NonZeroU16::new(id)?;
        let sent = self.sent.get(&id)?;
        if sent.is_released {
            return outgoing::pubrel(self.window.version, packet_id);
        }
        let packet = sent
            .queued
            .as_ref()
            .map(|queued| with_id(&queued.packet, id));
        let packet = packet.filter(|packet| packet.len() <= self.window.packet_bytes_max);
        if packet.is_none() {
            self.not_taken();
            self.complete(packet_id);
        }
        packet.map(|packet| outgoing::sent_again(&packet))
    }

    fn translate(&mut self, version: Version) {
        let translate = |queued: QueuedPublish| {
            let before = queued.cost();
            (before, queued.translated(version))
        };
        let mut bytes = self.bytes;
        for sent in self.sent.values_mut() {
            if let Some(queued) = sent.queued.take() {
                let (before, after) = translate(*queued);
                bytes = bytes - before + after.as_ref().map_or(0, QueuedPublish::cost);
                sent.queued = after.map(Box::new);
            }
        }
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.waiting = waiting
            .filter_map(|message| {
                let (before, after) = translate(message.queued);
                bytes = bytes - before + after.as_ref().map_or(0, QueuedPublish::cost);
                after.map(|queued| NumberedPublish { queued, ..message })
            })
            .collect();
        if let Some(persistent) = &self.persistent {
            persistent.budget.give_back(self.bytes);
            persistent.budget.add(bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for SendQueue {
    fn drop(&mut self) {
        if let Some(persistent) = &self.persistent {
            persistent.budget.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::Timetoken;
    use rmqtt_codec::types::QoS;

    use super::*;
    use crate::codec::outgoing::{FIRST_ID, publish, pubrel, sent_again};

    fn queued(text: &'static str) -> QueuedPublish {
        let (version, payload) = (Version::V3, Bytes::from_static(text.as_bytes()));
        let qos = QoS::ExactlyOnce;
        QueuedPublish {
            packet: publish(version, qos, "a", Some(FIRST_ID), payload, None).unwrap(),
            version,
            at: Timetoken(1),
            expires: None,
        }
    }

    fn not_taken() -> Arc<Counter> {
        Arc::new(Counter::new("test", "not taken"))
    }

    fn window(messages_max: usize) -> InflightWindow {
        InflightWindow {
            version: Version::V3,
            messages_max,
            packet_bytes_max: usize::MAX,
        }
    }

    fn sent(text: &'static str, id: u16) -> Option<Bytes> {
        Some(with_id(&queued(text).packet, id))
    }

    fn again(text: &'static str, id: u16) -> Option<Bytes> {
        sent(text, id).map(|packet| sent_again(&packet))
    }

    fn id(id: u16) -> NonZeroU16 {
        NonZeroU16::new(id).unwrap()
    }

    #[test]
    fn no_more_than_the_client_takes_is_on_its_way() {
        let mut queue = SendQueue::new(window(2), 2 * queued("x").cost(), not_taken());
        let mut take = |text| queue.enqueue(queued(text), true, None);
        assert_eq!(take("a"), Ok(sent("a", 1)));
        assert_eq!(take("b"), Ok(sent("b", 2)));
        assert_eq!(take("c"), Ok(None));
        assert_eq!(take("d"), Ok(None));
        assert_eq!(take("e"), Err(QueueFull));
        queue.complete(id(7));
        assert_eq!(queue.next(), None, "a packet id that nobody gave");
        queue.complete(id(2));
        assert_eq!(queue.next(), sent("c", 3));
        assert!(queue.received(id(1)) && !queue.received(id(2)));
        assert_eq!(
            queue.next(),
            None,
            "the client may still ask for the release"
        );
    }

    #[test]
    fn what_can_be_shared_is() {
        let mut queue = SendQueue::new(window(2), 1000, not_taken());
        let frame = queued("a");
        let address = |packet: Option<Bytes>| packet.map(|packet| packet.as_ptr());
        let first = queue.enqueue(frame.clone(), true, None).unwrap();
        assert_eq!(address(first), Some(frame.packet.as_ptr()));
        let second = queue.enqueue(frame.clone(), true, None).unwrap();
        assert_ne!(
            address(second),
            Some(frame.packet.as_ptr()),
            "the id is taken"
        );
    }

    /// A client may come back and take less than before.
    #[test]
    fn what_the_client_cannot_take_is_counted_and_holds_up_nothing() {
        let (budget, counter) = (Arc::new(Budget::new(1 << 20)), not_taken());
        let window = |packet_bytes_max| InflightWindow {
            packet_bytes_max,
            ..window(1)
        };
        let (small, long) = (queued("a").packet.len(), "too long by far");
        let mut queue = SendQueue::persistent(
            window(usize::MAX),
            1 << 20,
            budget.clone(),
            None,
            counter.clone(),
        );
        assert_eq!(queue.enqueue(queued(long), true, None), Ok(sent(long, 1)));
        for text in [long, "b", long, "c"] {
            assert_eq!(queue.enqueue(queued(text), false, None), Ok(None));
        }
        queue.resume(window(small));
        assert_eq!(queue.next(), sent("b", 1));
        assert_eq!(queue.next(), None, "one at a time");
        queue.complete(id(1));
        assert_eq!(queue.next(), sent("c", 1));
        queue.complete(id(1));
        assert_eq!(queue.next(), None);
        assert_eq!((counter.count(), queue.bytes), (3, SESSION_COST));
    }

    #[test]
    fn what_a_client_has_not_confirmed_comes_again_in_order() {
        let budget = Arc::new(Budget::new(1 << 20));
        let mut queue =
            SendQueue::persistent(window(10), 1 << 20, budget.clone(), None, not_taken());
        for text in ["a", "b", "c", "d"] {
            queue.enqueue(queued(text), true, None).unwrap();
        }
        queue.complete(id(1));
        queue.received(id(2));
        // Away.
        assert_eq!(queue.enqueue(queued("e"), false, None), Ok(None));
        queue.resume(window(2));
        assert_eq!(queue.next(), pubrel(Version::V3, id(2)));
        assert_eq!(queue.next(), again("c", 3));
        assert_eq!(queue.next(), None, "no more than it takes at a time");
        assert_eq!(
            queue.enqueue(queued("f"), true, None),
            Ok(None),
            "it has to wait"
        );
        queue.complete(id(2));
        assert_eq!(queue.next(), again("d", 4));
        queue.complete(id(3));
        // The id that it was written with, which is free by now.
        assert_eq!(queue.next(), sent("e", 1));
        queue.complete(id(4));
        queue.complete(id(1));
        assert_eq!(queue.next(), sent("f", 1));
        queue.complete(id(1));
        assert_eq!(queue.bytes, SESSION_COST);
        drop(queue);
        assert!(budget.has_room(1 << 20), "nothing is counted any more");
    }

    #[test]
    fn what_was_written_down_is_taken_up() {
        let budget = Arc::new(Budget::new(1 << 20));
        let new = || SendQueue::persistent(window(10), 1 << 20, budget.clone(), None, not_taken());
        let mut queue = new();
        for text in ["a", "b", "c", "d"] {
            queue.enqueue(queued(text), true, None).unwrap();
        }
        queue.complete(id(1));
        queue.received(id(2));
        let known = queue.inflight_snapshot();
        let messages = || {
            let left = [(2, "b"), (3, "c"), (4, "d"), (5, "e")];
            left.map(|(number, text)| (number, queued(text))).into()
        };
        let mut restored = new();
        let written = serde_json::to_string(&known).unwrap();
        restored.restore(messages(), serde_json::from_str(&written).unwrap());
        restored.enqueue(queued("f"), false, None).unwrap();
        restored.resume(window(10));
        let expected = [
            pubrel(Version::V3, id(2)),
            again("c", 3),
            again("d", 4),
            sent("e", 1),
            sent("f", 5),
            None,
        ];
        assert_eq!([(); 6].map(|()| restored.next()), expected);
        // Where nothing is known of ids all come as new ones, with the ids that they were written with where these are free.
        let mut restored = new();
        restored.restore(messages(), None);
        restored.resume(window(10));
        let found = [(); 5].map(|()| restored.next());
        assert_eq!(found[0], sent("b", 1));
        assert!(found[1..4].iter().all(Option::is_some) && found[4].is_none());
    }

    #[test]
    fn what_is_done_does_not_come_again() {
        let budget = Arc::new(Budget::new(1 << 20));
        let mut queue =
            SendQueue::persistent(window(1), 1 << 20, budget.clone(), None, not_taken());
        for text in ["a", "b", "c"] {
            queue.enqueue(queued(text), true, None).unwrap();
        }
        queue.complete(id(1));
        let known = queue.inflight_snapshot();
        let mut restored = SendQueue::persistent(window(1), 1 << 20, budget, None, not_taken());
        let messages = [(1, "a"), (2, "b"), (3, "c"), (4, "d")];
        let messages = messages.map(|(number, text)| (number, queued(text)));
        restored.restore(messages.into(), Some(known));
        restored.resume(window(3));
        assert_eq!(restored.next(), sent("b", 1));
        assert_eq!(restored.next(), sent("c", 2));
        assert_eq!(restored.next(), sent("d", 3));
    }

    #[test]
    fn the_oldest_that_wait_for_a_client_make_room() {
        let cost = queued("x").cost();
        let budget = Arc::new(Budget::new(1 << 20));
        let mut queue = SendQueue::persistent(window(10), 2 * cost, budget, None, not_taken());
        for text in ["a", "b", "c"] {
            assert_eq!(queue.enqueue(queued(text), false, None), Ok(None));
        }
        queue.resume(window(10));
        assert_eq!(queue.next(), sent("b", 1));
        assert_eq!(queue.next(), sent("c", 2));
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn all_sessions_together_have_a_bound() {
        let cost = queued("x").cost();
        let budget = Arc::new(Budget::new(2 * SESSION_COST + 3 * cost));
        let mut queues = [(); 2].map(|()| {
            SendQueue::persistent(window(10), 1 << 20, budget.clone(), None, not_taken())
        });
        for text in ["a", "b"] {
            for queue in &mut queues {
                queue.enqueue(queued(text), false, None).unwrap();
            }
        }
        let [mut first, mut second] = queues;
        first.resume(window(10));
        second.resume(window(10));
        assert_eq!((first.next(), first.next()), (sent("a", 1), sent("b", 2)));
        assert_eq!((second.next(), second.next()), (sent("b", 1), None));
    }
}
