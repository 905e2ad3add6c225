//! Silent connections: those that have said nothing yet, and may not for long.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::limits::Limits;

/// Connections that have said nothing yet. Some clients connect when they are made, and speak when they have something to say.
///
/// They own a descriptor and no more. Where there are too many, the one that is silent for longest gives its seat to the next.
#[derive(Debug, Default)]
pub(crate) struct SilentConnections {
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    /// How many there were, ever.
    count: u64,
    /// The longest silent one first.
    taken: BTreeMap<u64, (Option<IpAddr>, CancellationToken)>,
    by_address: HashMap<IpAddr, BTreeSet<u64>, RandomState>,
}

/// The place of one silent connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct SilentSeat {
    connections: Arc<SilentConnections>,
    number: u64,
    gone: CancellationToken,
}

impl SilentConnections {
    /// A seat for a connection from `address`; the one that is silent for longest loses its own where there are too many.
    pub(crate) fn sit(self: &Arc<Self>, address: Option<IpAddr>, limits: &Limits) -> SilentSeat {
        let gone = CancellationToken::new();
        let mut seats = self.seats.lock();
        seats.count += 1;
        let number = seats.count;
        seats.taken.insert(number, (address, gone.clone()));
        if let Some(address) = address {
            let here = seats.by_address.entry(address).or_default();
            here.insert(number);
            if here.len() > limits.silent_connections_per_address_max {
                let longest = here.first().copied();
                longest.into_iter().for_each(|longest| seats.oust(longest));
            }
        }
        if seats.taken.len() > limits.silent_connections_max {
            let longest = seats.taken.keys().next().copied();
            longest.into_iter().for_each(|longest| seats.oust(longest));
        }
        drop(seats);
        SilentSeat {
            connections: self.clone(),
            number,
            gone,
        }
    }
}

impl Seats {
    fn oust(&mut self, number: u64) {
        if let Some(gone) = self.remove(number) {
            gone.cancel();
        }
    }

    fn remove(&mut self, number: u64) -> Option<CancellationToken> {
        let (address, gone) = self.taken.remove(&number)?;
        if let Some(address) = address
            && let Some(here) = self.by_address.get_mut(&address)
        {
            here.remove(&number);
            if here.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Some(gone)
    }
}

impl SilentSeat {
    /// Waits until another connection has the seat. Cancel safe.
    pub(crate) fn lost(&self) -> WaitForCancellationFuture<'_> {
        self.gone.cancelled()
    }
}

impl Drop for SilentSeat {
    fn drop(&mut self) {
        self.connections.seats.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([127, 0, 0, n]))
    }

    #[test]
    fn the_longest_silent_gives_way() {
        let limits = Limits {
            silent_connections_max: 3,
            silent_connections_per_address_max: 2,
            ..Limits::default()
        };
        let connections = Arc::new(SilentConnections::default());
        let sit = |n| connections.sit(address(n), &limits);
        let (first, second) = (sit(1), sit(1));
        let third = sit(1);
        assert!(first.gone.is_cancelled(), "two from one address");
        assert!(!second.gone.is_cancelled());
        let other = sit(2);
        let _unknown = connections.sit(None, &limits);
        assert!(second.gone.is_cancelled(), "three in all");
        assert!(!third.gone.is_cancelled() && !other.gone.is_cancelled());
        drop((first, second, third, other, _unknown));
        let seats = connections.seats.lock();
        assert!(seats.taken.is_empty() && seats.by_address.is_empty());
    }

    #[tokio::test]
    async fn one_that_speaks_frees_its_seat() {
        let limits = Limits {
            silent_connections_max: 1,
            ..Limits::default()
        };
        let connections = Arc::new(SilentConnections::default());
        drop(connections.sit(address(1), &limits));
        let seat = connections.sit(address(2), &limits);
        assert!(!seat.gone.is_cancelled());
        let _next = connections.sit(address(3), &limits);
        seat.lost().await;
    }
}
