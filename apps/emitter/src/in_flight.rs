//! Messages of quality 1 and 2 on their way to a client.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU16,
};

use bytes::Bytes;

use crate::encoder::with_id;

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Sent; the client has not said that it has it.
    Sent,
    /// Quality 2: the client has it, and was told to forget its packet id.
    Released,
}

/// More waits than may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// Gives packet ids, and holds back what is more than the client takes at a time.
#[derive(Debug)]
pub(crate) struct InFlight {
    last_id: u16,
    steps: HashMap<u16, Step>,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    messages_max: usize,
    waiting_bytes_max: usize,
}

impl InFlight {
    pub(crate) fn new(messages_max: usize, waiting_bytes_max: usize) -> Self {
        Self {
            last_id: 0,
            steps: HashMap::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            messages_max,
            waiting_bytes_max,
        }
    }

    /// The packet to send now, with its id; `None` when it has to wait.
    pub(crate) fn take(&mut self, packet: &Bytes) -> Result<Option<Bytes>, TooMuch> {
        if self.waiting.is_empty() && self.steps.len() < self.messages_max {
            return Ok(Some(self.number(packet)));
        }
        self.waiting_bytes += packet.len();
        if self.waiting_bytes > self.waiting_bytes_max {
            return Err(TooMuch);
        }
        self.waiting.push_back(packet.clone());
        Ok(None)
    }

    /// The client has a message, or is done with it; what can be sent then.
    pub(crate) fn done(&mut self, id: NonZeroU16) -> Option<Bytes> {
        self.steps.remove(&id.get())?;
        let packet = self.waiting.pop_front()?;
        self.waiting_bytes -= packet.len();
        Some(self.number(&packet))
    }

    /// The client has a message of quality 2; false for one that it was not sent.
    pub(crate) fn release(&mut self, id: NonZeroU16) -> bool {
        match self.steps.get_mut(&id.get()) {
            Some(step) => {
                *step = Step::Released;
                true
            }
            None => false,
        }
    }

    fn number(&mut self, packet: &Bytes) -> Bytes {
        // There are fewer messages than ids, so one is free.
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.steps.contains_key(&self.last_id) {
                break;
            }
        }
        self.steps.insert(self.last_id, Step::Sent);
        with_id(packet, self.last_id)
    }
}

#[cfg(test)]
mod tests {
    use rmqtt_codec::types::QoS;

    use super::*;
    use crate::{
        outgoing::{FIRST_ID, publish},
        version::Version,
    };

    #[test]
    fn no_more_than_the_client_takes_is_on_its_way() {
        let packet = publish(
            Version::V3,
            QoS::AtLeastOnce,
            "a",
            Some(FIRST_ID),
            Bytes::from_static(b"x"),
            None,
        )
        .unwrap();
        let mut flight = InFlight::new(2, 2 * packet.len());
        let id = |id| NonZeroU16::new(id).unwrap();
        assert_eq!(flight.take(&packet), Ok(Some(with_id(&packet, 1))));
        assert_eq!(flight.take(&packet), Ok(Some(with_id(&packet, 2))));
        assert_eq!(flight.take(&packet), Ok(None));
        assert_eq!(flight.take(&packet), Ok(None));
        assert_eq!(flight.take(&packet), Err(TooMuch));
        assert_eq!(flight.done(id(7)), None, "a packet id that nobody gave");
        assert_eq!(flight.done(id(2)), Some(with_id(&packet, 3)));
        assert!(flight.release(id(1)) && !flight.release(id(2)));
    }
}
