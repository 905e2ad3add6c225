//! Connection slots: how many connections are open, in all and from each address.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::{
    limits::Limits,
    memory::{Draw, Held},
};

/// Bytes that a connection takes, by what was measured of idle ones of every protocol, and its part of the hub.
const CONNECTION_BYTES: usize = 6 << 10;

/// Open connections by address.
#[derive(Default)]
pub(crate) struct Slots {
    open: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    total: usize,
    by_address: HashMap<IpAddr, usize, RandomState>,
}

impl Slots {
    /// A place for a connection, if there is one left; from `address`, where it is known.
    pub(crate) fn take(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        limits: &Limits,
    ) -> Option<ConnectionSlot> {
        let mut open = self.open.lock();
        if open.total >= limits.connections_max {
            return None;
        }
        let draw = Draw::of(Held::Connections, CONNECTION_BYTES)?;
        if !open.count(address, limits) {
            return None;
        }
        open.total += 1;
        drop(open);
        Some(ConnectionSlot {
            slots: self.clone(),
            address: Mutex::new(address),
            _draw: draw,
        })
    }
}

impl OpenConnections {
    /// Counts one more from `address`, unless they are too many.
    fn count(&mut self, address: Option<IpAddr>, limits: &Limits) -> bool {
        let Some(address) = address else {
            return true;
        };
        let here = self.by_address.get(&address).copied().unwrap_or(0);
        if here >= limits.connections_per_address_max {
            return false;
        }
        self.by_address.insert(address, here + 1);
        true
    }

    fn give_back(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address
            && let Some(count) = self.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

/// The place of one open connection; given back when dropped.
pub(crate) struct ConnectionSlot {
    slots: Arc<Slots>,
    address: Mutex<Option<IpAddr>>,
    _draw: Draw,
}

impl ConnectionSlot {
    /// Counts the connection for another address from now on: that of the client whom a proxy speaks for. False where too
    /// many are open from there; then nothing changes.
    pub(crate) fn count_for(&self, address: IpAddr, limits: &Limits) -> bool {
        let mut current = self.address.lock();
        if *current == Some(address) {
            return true;
        }
        let mut open = self.slots.open.lock();
        if !open.count(Some(address), limits) {
            return false;
        }
        open.give_back(current.replace(address));
        true
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock();
        open.total -= 1;
        open.give_back(*self.address.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_given_back() {
        let limits = Limits {
            connections_max: 2,
            connections_per_address_max: 1,
            ..Limits::default()
        };
        let slots = Arc::new(Slots::default());
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([127, 0, 0, n]));
        let first = slots.take(Some(a), &limits);
        assert!(first.is_some());
        assert!(
            slots.take(Some(a), &limits).is_none(),
            "one for each address"
        );
        let second = slots.take(Some(b), &limits);
        assert!(second.is_some());
        assert!(slots.take(Some(c), &limits).is_none(), "two in all");
        drop(first);
        assert!(slots.take(Some(c), &limits).is_some());
        drop(second);
        assert!(slots.open.lock().by_address.is_empty());
    }
    #[test]
    fn a_slot_may_count_for_another_address() {
        let limits = Limits {
            connections_per_address_max: 1,
            ..Limits::default()
        };
        let slots = Arc::new(Slots::default());
        let [a, b] = [1, 2].map(|n| IpAddr::from([127, 0, 0, n]));
        let proxied = [(); 2].map(|()| slots.take(None, &limits).unwrap());
        assert!(proxied[0].count_for(a, &limits));
        assert!(proxied[0].count_for(a, &limits), "it is counted already");
        assert!(!proxied[1].count_for(a, &limits), "one for each address");
        assert!(slots.take(Some(a), &limits).is_none());
        assert!(proxied[0].count_for(b, &limits));
        assert!(proxied[1].count_for(a, &limits));
        drop(proxied);
        assert!(slots.open.lock().by_address.is_empty());
    }
}
