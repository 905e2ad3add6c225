//! Messages of quality 1 and 2 on their way to a client.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU16,
    sync::Arc,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    budget::Budget,
    by_id::ById,
    encoder::{id_of, with_id},
    outgoing,
    parcel::Parcel,
    sessions::Ledger,
    version::Version,
};

/// Bytes that a session counts that outlives its connections, besides what waits for its client.
pub(crate) const SESSION_COST: usize = 4 << 10;

/// What a client takes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) version: Version,
    pub(crate) messages_max: usize,
    pub(crate) packet_bytes_max: usize,
}

/// More waits than may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// A message, with its place in the order of the session.
#[derive(Debug)]
struct Numbered {
    number: u64,
    parcel: Parcel,
}

/// A message that has a packet id.
#[derive(Debug)]
struct Sent {
    number: u64,
    /// Quality 2: the client has it, and was told to forget its packet id.
    is_released: bool,
    /// To be sent again, where another connection may have to.
    parcel: Option<Box<Parcel>>,
}

/// What a session adds that outlives its connections.
#[derive(Debug)]
struct Lasting {
    budget: Arc<Budget>,
    ledger: Option<Ledger>,
}

/// What has not come to its end: messages by their numbers, and packet ids that the client may know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct OnItsWay {
    last_id: u16,
    last_number: u64,
    /// The number of each message that was sent, its id, and whether the client has it.
    sent: Vec<(u64, u16, bool)>,
    /// The first and the last number of each row of messages that wait.
    waiting: Vec<(u64, u64)>,
}

impl OnItsWay {
    /// True for a message that waited, or came later.
    fn still_waits(&self, number: u64) -> bool {
        let row = self.waiting.partition_point(|(_, last)| *last < number);
        let waited = self.waiting.get(row);
        number > self.last_number || waited.is_some_and(|(first, _)| *first <= number)
    }
}

/// Gives packet ids, and holds back what is more than the client takes at a time.
///
/// For a session that outlives its connections it keeps what was sent until the client has it. The oldest of what
/// waits there makes room for what comes.
#[derive(Debug)]
pub(crate) struct InFlight {
    window: Window,
    last_id: u16,
    last_number: u64,
    sent: ById<Sent>,
    /// Those of them that have to be sent again, in their order.
    again: VecDeque<u16>,
    waiting: VecDeque<Numbered>,
    /// Of what waits, and of what is kept to be sent again.
    bytes: usize,
    bytes_max: usize,
    lasting: Option<Lasting>,
}

impl InFlight {
    /// For a session that ends with its connection.
    pub(crate) fn new(window: Window, bytes_max: usize) -> Self {
        Self {
            window,
            last_id: 0,
            last_number: 0,
            sent: ById::default(),
            again: VecDeque::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            bytes_max,
            lasting: None,
        }
    }

    /// For a session that outlives its connections.
    pub(crate) fn lasting(
        window: Window,
        bytes_max: usize,
        budget: Arc<Budget>,
        ledger: Option<Ledger>,
    ) -> Self {
        budget.add(SESSION_COST);
        let mut own = Self::new(window, bytes_max + SESSION_COST);
        own.bytes = SESSION_COST;
        own.lasting = Some(Lasting { budget, ledger });
        own
    }

    /// Takes up what was written down: messages by number, and what is known of their ends. What was sent comes
    /// again with the [next connection](Self::resume).
    pub(crate) fn restore(&mut self, messages: Vec<(u64, Parcel)>, known: Option<OnItsWay>) {
        // After a crash nobody knows which ids the client may remember: some of its messages come again with others.
        let known = known.unwrap_or_else(|| OnItsWay {
            last_id: rand::random(),
            ..OnItsWay::default()
        });
        self.last_id = known.last_id;
        let last = messages.last().map_or(0, |(number, _)| *number);
        self.last_number = last.max(known.last_number);
        let unconfirmed = known.sent.iter().filter(|(.., is_released)| !is_released);
        let ids: HashMap<u64, u16> = unconfirmed.map(|(number, id, _)| (*number, *id)).collect();
        for (number, parcel) in messages {
            if let Some(id) = ids.get(&number) {
                self.add(parcel.cost());
                self.sent_before(*id, number, Some(parcel));
            } else if known.still_waits(number) {
                self.add(parcel.cost());
                self.waiting.push_back(Numbered { number, parcel });
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

    fn sent_before(&mut self, id: u16, number: u64, parcel: Option<Parcel>) {
        let sent = Sent {
            number,
            is_released: parcel.is_none(),
            parcel: parcel.map(Box::new),
        };
        self.sent.insert(id, sent);
    }

    /// What has not come to its end.
    pub(crate) fn on_its_way(&self) -> OnItsWay {
        let sent = self.sent.iter();
        let mut waiting: Vec<(u64, u64)> = Vec::new();
        for message in &self.waiting {
            match waiting.last_mut() {
                Some((_, last)) if *last + 1 == message.number => *last = message.number,
                _ => waiting.push((message.number, message.number)),
            }
        }
        OnItsWay {
            waiting,
            last_id: self.last_id,
            last_number: self.last_number,
            sent: sent
                .map(|(id, sent)| (sent.number, *id, sent.is_released))
                .collect(),
        }
    }

    /// The packet to send now, with its id, which are the very bytes of the parcel where that can be; `None` when it has
    /// to wait, as it has to for a client that is away.
    pub(crate) fn take(&mut self, parcel: Parcel, is_here: bool) -> Result<Option<Bytes>, TooMuch> {
        self.last_number += 1;
        let message = Numbered {
            number: self.last_number,
            parcel,
        };
        let cost = message.parcel.cost();
        let goes = is_here && self.again.is_empty() && self.waiting.is_empty() && self.has_slot();
        if goes && (self.lasting.is_none() || self.has_room(cost)) {
            if self.lasting.is_some() {
                self.add(cost);
                self.write_down(&message);
            }
            return Ok(self.number(message));
        }
        while !self.has_room(cost) {
            if self.lasting.is_none() {
                return Err(TooMuch);
            }
            let Some(oldest) = self.waiting.pop_front() else {
                return Ok(None);
            };
            self.forget(oldest.number, Some(&oldest.parcel));
        }
        self.add(cost);
        self.write_down(&message);
        self.waiting.push_back(message);
        Ok(None)
    }

    /// The client has a message, or is done with it: ask for the [`next`](Self::next) one.
    pub(crate) fn done(&mut self, id: NonZeroU16) {
        if let Some(sent) = self.sent.remove(&id.get()) {
            self.again.retain(|again| *again != id.get());
            self.forget(sent.number, sent.parcel.as_deref());
        }
    }

    /// The client has a message of quality 2; false for one that it was not sent.
    pub(crate) fn release(&mut self, id: NonZeroU16) -> bool {
        let Some(sent) = self.sent.get_mut(&id.get()) else {
            return false;
        };
        sent.is_released = true;
        if let Some(parcel) = sent.parcel.take() {
            self.subtract(parcel.cost());
        }
        true
    }

    /// The client has come back: what it has not confirmed is sent again.
    pub(crate) fn resume(&mut self, window: Window) {
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
            let message = self.waiting.pop_front()?;
            if self.lasting.is_none() {
                self.subtract(message.parcel.cost());
            }
            if let Some(packet) = self.number(message) {
                return Some(packet);
            }
        }
        None
    }

    /// Fewer are on their way than the client takes.
    fn has_slot(&self) -> bool {
        self.sent.len() - self.again.len() < self.window.messages_max
    }

    fn has_room(&self, cost: usize) -> bool {
        let budget = self.lasting.as_ref().map(|lasting| &lasting.budget);
        self.bytes + cost <= self.bytes_max && budget.is_none_or(|budget| budget.has_room(cost))
    }

    fn add(&mut self, cost: usize) {
        self.bytes += cost;
        if let Some(lasting) = &self.lasting {
            lasting.budget.add(cost);
        }
    }

    fn subtract(&mut self, cost: usize) {
        self.bytes -= cost;
        if let Some(lasting) = &self.lasting {
            lasting.budget.give_back(cost);
        }
    }

    fn write_down(&self, message: &Numbered) {
        if let Some(ledger) = self.lasting.as_ref().and_then(|own| own.ledger.as_ref()) {
            ledger.put(message.number, &message.parcel);
        }
    }

    /// A message does not wait any more.
    fn forget(&mut self, number: u64, parcel: Option<&Parcel>) {
        if let Some(parcel) = parcel {
            self.subtract(parcel.cost());
        }
        if let Some(ledger) = self.lasting.as_ref().and_then(|own| own.ledger.as_ref()) {
            ledger.done(number);
        }
    }

    /// Gives a message an id; `None` for one that nobody wants any more, or that the client cannot take, which is as
    /// if it had been delivered.
    fn number(&mut self, message: Numbered) -> Option<Bytes> {
        let packet = message.parcel.packet();
        let packet = packet.filter(|packet| packet.len() <= self.window.packet_bytes_max);
        let Some(packet) = packet else {
            if self.lasting.is_some() {
                self.forget(message.number, Some(&message.parcel));
            }
            return None;
        };
        let id = self.free_id(&packet);
        let sent = Sent {
            number: message.number,
            is_released: false,
            parcel: self.lasting.is_some().then(|| Box::new(message.parcel)),
        };
        self.sent.insert(id, sent);
        match id_of(&packet).is_some_and(|written| written.get() == id) {
            true => Some(packet),
            false => Some(with_id(&packet, id)),
        }
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
            return outgoing::release(self.window.version, packet_id);
        }
        let packet = sent
            .parcel
            .as_ref()
            .map(|parcel| with_id(&parcel.packet, id));
        let packet = packet.filter(|packet| packet.len() <= self.window.packet_bytes_max);
        if packet.is_none() {
            self.done(packet_id);
        }
        packet.map(|packet| outgoing::sent_again(&packet))
    }

    fn translate(&mut self, version: Version) {
        let translate = |parcel: Parcel| {
            let before = parcel.cost();
            (before, parcel.translated(version))
        };
        let mut bytes = self.bytes;
        for sent in self.sent.values_mut() {
            if let Some(parcel) = sent.parcel.take() {
                let (before, after) = translate(*parcel);
                bytes = bytes - before + after.as_ref().map_or(0, Parcel::cost);
                sent.parcel = after.map(Box::new);
            }
        }
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.waiting = waiting
            .filter_map(|Numbered { number, parcel }| {
                let (before, after) = translate(parcel);
                bytes = bytes - before + after.as_ref().map_or(0, Parcel::cost);
                after.map(|parcel| Numbered { number, parcel })
            })
            .collect();
        if let Some(lasting) = &self.lasting {
            lasting.budget.give_back(self.bytes);
            lasting.budget.add(bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(lasting) = &self.lasting {
            lasting.budget.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::Timetoken;
    use rmqtt_codec::types::QoS;

    use super::*;
    use crate::outgoing::{FIRST_ID, publish, release, sent_again};

    fn parcel(text: &'static str) -> Parcel {
        let (version, payload) = (Version::V3, Bytes::from_static(text.as_bytes()));
        let qos = QoS::ExactlyOnce;
        Parcel {
            packet: publish(version, qos, "a", Some(FIRST_ID), payload, None).unwrap(),
            version,
            at: Timetoken(1),
            expires: None,
        }
    }

    fn window(messages_max: usize) -> Window {
        Window {
            version: Version::V3,
            messages_max,
            packet_bytes_max: usize::MAX,
        }
    }

    fn sent(text: &'static str, id: u16) -> Option<Bytes> {
        Some(with_id(&parcel(text).packet, id))
    }

    fn again(text: &'static str, id: u16) -> Option<Bytes> {
        sent(text, id).map(|packet| sent_again(&packet))
    }

    fn id(id: u16) -> NonZeroU16 {
        NonZeroU16::new(id).unwrap()
    }

    #[test]
    fn no_more_than_the_client_takes_is_on_its_way() {
        let mut flight = InFlight::new(window(2), 2 * parcel("x").cost());
        let mut take = |text| flight.take(parcel(text), true);
        assert_eq!(take("a"), Ok(sent("a", 1)));
        assert_eq!(take("b"), Ok(sent("b", 2)));
        assert_eq!(take("c"), Ok(None));
        assert_eq!(take("d"), Ok(None));
        assert_eq!(take("e"), Err(TooMuch));
        flight.done(id(7));
        assert_eq!(flight.next(), None, "a packet id that nobody gave");
        flight.done(id(2));
        assert_eq!(flight.next(), sent("c", 3));
        assert!(flight.release(id(1)) && !flight.release(id(2)));
        assert_eq!(
            flight.next(),
            None,
            "the client may still ask for the release"
        );
    }

    #[test]
    fn what_can_be_shared_is() {
        let mut flight = InFlight::new(window(2), 1000);
        let frame = parcel("a");
        let place = |packet: Option<Bytes>| packet.map(|packet| packet.as_ptr());
        let first = flight.take(frame.clone(), true).unwrap();
        assert_eq!(place(first), Some(frame.packet.as_ptr()));
        let second = flight.take(frame.clone(), true).unwrap();
        assert_ne!(
            place(second),
            Some(frame.packet.as_ptr()),
            "the id is taken"
        );
    }

    #[test]
    fn what_a_client_has_not_confirmed_comes_again_in_order() {
        let budget = Arc::new(Budget::new(1 << 20));
        let mut flight = InFlight::lasting(window(10), 1 << 20, budget.clone(), None);
        for text in ["a", "b", "c", "d"] {
            flight.take(parcel(text), true).unwrap();
        }
        flight.done(id(1));
        flight.release(id(2));
        // Away.
        assert_eq!(flight.take(parcel("e"), false), Ok(None));
        flight.resume(window(2));
        assert_eq!(flight.next(), release(Version::V3, id(2)));
        assert_eq!(flight.next(), again("c", 3));
        assert_eq!(flight.next(), None, "no more than it takes at a time");
        assert_eq!(flight.take(parcel("f"), true), Ok(None), "it has to wait");
        flight.done(id(2));
        assert_eq!(flight.next(), again("d", 4));
        flight.done(id(3));
        // The id that it was written with, which is free by now.
        assert_eq!(flight.next(), sent("e", 1));
        flight.done(id(4));
        flight.done(id(1));
        assert_eq!(flight.next(), sent("f", 1));
        flight.done(id(1));
        assert_eq!(flight.bytes, SESSION_COST);
        drop(flight);
        assert!(budget.has_room(1 << 20), "nothing is counted any more");
    }

    #[test]
    fn what_was_written_down_is_taken_up() {
        let budget = Arc::new(Budget::new(1 << 20));
        let new = || InFlight::lasting(window(10), 1 << 20, budget.clone(), None);
        let mut flight = new();
        for text in ["a", "b", "c", "d"] {
            flight.take(parcel(text), true).unwrap();
        }
        flight.done(id(1));
        flight.release(id(2));
        let known = flight.on_its_way();
        let messages = || {
            let left = [(2, "b"), (3, "c"), (4, "d"), (5, "e")];
            left.map(|(number, text)| (number, parcel(text))).into()
        };
        let mut restored = new();
        let written = serde_json::to_string(&known).unwrap();
        restored.restore(messages(), serde_json::from_str(&written).unwrap());
        restored.take(parcel("f"), false).unwrap();
        restored.resume(window(10));
        let expected = [
            release(Version::V3, id(2)),
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
        let mut flight = InFlight::lasting(window(1), 1 << 20, budget.clone(), None);
        for text in ["a", "b", "c"] {
            flight.take(parcel(text), true).unwrap();
        }
        flight.done(id(1));
        let known = flight.on_its_way();
        let mut restored = InFlight::lasting(window(1), 1 << 20, budget, None);
        let messages = [(1, "a"), (2, "b"), (3, "c"), (4, "d")];
        let messages = messages.map(|(number, text)| (number, parcel(text)));
        restored.restore(messages.into(), Some(known));
        restored.resume(window(3));
        assert_eq!(restored.next(), sent("b", 1));
        assert_eq!(restored.next(), sent("c", 2));
        assert_eq!(restored.next(), sent("d", 3));
    }

    #[test]
    fn the_oldest_that_wait_for_a_client_make_room() {
        let cost = parcel("x").cost();
        let budget = Arc::new(Budget::new(1 << 20));
        let mut flight = InFlight::lasting(window(10), 2 * cost, budget, None);
        for text in ["a", "b", "c"] {
            assert_eq!(flight.take(parcel(text), false), Ok(None));
        }
        flight.resume(window(10));
        assert_eq!(flight.next(), sent("b", 1));
        assert_eq!(flight.next(), sent("c", 2));
        assert_eq!(flight.next(), None);
    }

    #[test]
    fn all_sessions_together_have_a_bound() {
        let cost = parcel("x").cost();
        let budget = Arc::new(Budget::new(2 * SESSION_COST + 3 * cost));
        let mut flights =
            [(); 2].map(|()| InFlight::lasting(window(10), 1 << 20, budget.clone(), None));
        for text in ["a", "b"] {
            for flight in &mut flights {
                flight.take(parcel(text), false).unwrap();
            }
        }
        let [mut first, mut second] = flights;
        first.resume(window(10));
        second.resume(window(10));
        assert_eq!((first.next(), first.next()), (sent("a", 1), sent("b", 2)));
        assert_eq!((second.next(), second.next()), (sent("b", 1), None));
    }
}
