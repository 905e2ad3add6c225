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
    /// A place for a connection from `address`, if there is one left.
    pub(crate) fn take(
        self: &Arc<Self>,
        address: IpAddr,
        limits: &Limits,
    ) -> Option<ConnectionSlot> {
        let mut open = self.open.lock();
        let here = open.by_address.get(&address).copied().unwrap_or(0);
        if open.total >= limits.connections_max || here >= limits.connections_per_address_max {
            return None;
        }
        let draw = Draw::of(Held::Connections, CONNECTION_BYTES)?;
        open.total += 1;
        open.by_address.insert(address, here + 1);
        Some(ConnectionSlot {
            slots: self.clone(),
            address,
            _draw: draw,
        })
    }
}

/// The place of one open connection; given back when dropped.
pub(crate) struct ConnectionSlot {
    slots: Arc<Slots>,
    address: IpAddr,
    _draw: Draw,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
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
        let first = slots.take(a, &limits);
        assert!(first.is_some());
        assert!(slots.take(a, &limits).is_none(), "one for each address");
        let second = slots.take(b, &limits);
        assert!(second.is_some());
        assert!(slots.take(c, &limits).is_none(), "two in all");
        drop(first);
        assert!(slots.take(c, &limits).is_some());
        drop(second);
        assert!(slots.open.lock().by_address.is_empty());
    }
}
