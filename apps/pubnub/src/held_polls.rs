//! What polls hold that wait: bounded in bytes, in all and for each address.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use polywire_core::{Counter, Counters, Draw, Held};

use crate::{settings::Parameters, subscribe_set::SubscribeSet};

/// Bytes of a poll, and of each name in it, beside the names: as the stream, the waiter and the member that are made for
/// it take them.
const POLL_BYTES: usize = 2 << 10;
const NAME_BYTES: usize = 1200;

/// Bytes that polls hold which wait.
pub(crate) struct HeldPolls {
    all_max: usize,
    per_address_max: usize,
    taken: Mutex<Taken>,
    refused: Arc<Counter>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize, RandomState>,
}

/// What one poll holds; given back when dropped.
pub(crate) struct HeldBytes<'h> {
    polls: &'h HeldPolls,
    address: Option<IpAddr>,
    draw: Draw,
}

impl HeldPolls {
    pub(crate) fn new(settings: &Parameters, counters: &Counters) -> Self {
        Self {
            all_max: settings.held_bytes_max,
            per_address_max: settings.held_bytes_per_address_max,
            taken: Mutex::default(),
            refused: counters.of("pubnub", "poll refused: others hold too much"),
        }
    }

    /// Room for a poll that waits, with what its request takes; none when there is none left.
    pub(crate) fn take(
        &self,
        address: Option<IpAddr>,
        set: &SubscribeSet,
        request: usize,
    ) -> Option<HeldBytes<'_>> {
        // A name stands in the request, in the set, and in what is made for it.
        let names = set
            .targets
            .iter()
            .map(|target| NAME_BYTES + 2 * target.shown.len());
        let bytes = POLL_BYTES + request + names.sum::<usize>();
        let mut held = self.taken.lock();
        let own = address.and_then(|address| held.by_address.get(&address));
        let own = own.copied().unwrap_or(0);
        let is_within = held.all + bytes <= self.all_max && own + bytes <= self.per_address_max;
        // A draw of the memory budget, where there is room for it in our bounds.
        let draw = is_within.then(|| Draw::of(Held::Requests, bytes)).flatten();
        let Some(draw) = draw else {
            self.refused.add();
            return None;
        };
        held.all += bytes;
        if let Some(address) = address {
            held.by_address.insert(address, own + bytes);
        }
        Some(HeldBytes {
            polls: self,
            address,
            draw,
        })
    }
}

impl Drop for HeldBytes<'_> {
    fn drop(&mut self) {
        let mut held = self.polls.taken.lock();
        held.all -= self.draw.bytes();
        if let Some(address) = &self.address
            && let Some(own) = held.by_address.get_mut(address)
        {
            *own -= self.draw.bytes();
            if *own == 0 {
                held.by_address.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::KeySets, settings::PubNubSettings};

    #[test]
    fn an_address_does_not_take_the_room_of_all() {
        let settings = PubNubSettings {
            held_bytes_max: 61 << 10,
            held_bytes_per_address_max: 30 << 10,
            ..PubNubSettings::default()
        };
        let counters = Counters::default();
        let polls = HeldPolls::new(&(&settings).into(), &counters);
        let keys = KeySets::new(Vec::new());
        let ten: Vec<_> = (0..10).map(|n| format!("c{n}")).collect();
        let set = SubscribeSet::parse(keys.first(), &ten.join(","), "").unwrap();
        let take = |host| polls.take(Some([127, 0, 0, host].into()), &set, 1000);
        let (first, second) = (take(1).unwrap(), take(1).unwrap());
        assert!(take(1).is_none(), "an address has its bound");
        let (_third, _fourth) = (take(2).unwrap(), take(3).unwrap());
        assert!(take(4).is_none(), "and all have theirs");
        drop(first);
        let _fifth = take(4).unwrap();
        drop(second);
        assert_eq!(polls.taken.lock().by_address.len(), 3);
        assert_eq!(counters.all()[0].count(), 2);
    }
}
