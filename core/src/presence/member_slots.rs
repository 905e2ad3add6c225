//! Member slots: how many members each owner has on this node.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::owner::MemberOwner;
use crate::{
    counters::{Counter, Counters},
    limits::Limits,
    memory::{Draw, Held},
};

/// Bytes that a member takes, about: its names, its lease, and its place here.
const MEMBER_BYTES: usize = 512;

/// Members by owner.
#[derive(Debug)]
pub(super) struct MemberSlots {
    taken: Mutex<TakenSlots>,
    per_connection_max: usize,
    per_address_max: usize,
    of_connection: Arc<Counter>,
    of_address: Arc<Counter>,
    of_tenant: Arc<Counter>,
    of_budget: Arc<Counter>,
}

#[derive(Debug)]
struct TakenSlots {
    all: usize,
    /// What they take, of the memory budget.
    draw: Draw,
    by_connection: Counts<SocketAddr>,
    by_address: Counts<IpAddr>,
    by_tenant: Counts<Arc<str>>,
}

type Counts<K> = HashMap<K, usize, RandomState>;

/// The place of one member; given back when dropped.
#[derive(Debug)]
pub(super) struct MemberSlot {
    slots: Arc<MemberSlots>,
    owner: MemberOwner,
}

impl MemberSlots {
    pub(super) fn new(limits: &Limits, counters: &Counters) -> Arc<Self> {
        let counter = |reason| counters.of("server", reason);
        Arc::new(Self {
            taken: Mutex::new(TakenSlots {
                all: 0,
                draw: Draw::new(Held::Requests),
                by_connection: Counts::default(),
                by_address: Counts::default(),
                by_tenant: Counts::default(),
            }),
            per_connection_max: limits.members_per_connection_max,
            per_address_max: limits.members_per_address_max,
            of_connection: counter("not counted as present: limits.members_per_connection_max"),
            of_address: counter("not counted as present: limits.members_per_address_max"),
            of_tenant: counter("not counted as present: members_max of a tenant"),
            of_budget: counter("not counted as present: limits.memory_bytes"),
        })
    }

    /// A place for a member of this owner, if there is one left.
    pub(super) fn take(self: &Arc<Self>, owner: &MemberOwner) -> Option<Box<MemberSlot>> {
        let mut taken = self.taken.lock();
        if let Some(peer) = &owner.peer {
            if count(&taken.by_connection, peer) >= self.per_connection_max {
                self.of_connection.add();
                return None;
            }
            if count(&taken.by_address, &peer.ip()) >= self.per_address_max {
                self.of_address.add();
                return None;
            }
        }
        if let Some(tenant) = &owner.tenant
            && count(&taken.by_tenant, &tenant.name) >= tenant.members_max
        {
            self.of_tenant.add();
            return None;
        }
        let all = taken.all + 1;
        if !taken.draw.cover(all * MEMBER_BYTES) {
            self.of_budget.add();
            return None;
        }
        taken.all = all;
        if let Some(peer) = owner.peer {
            *taken.by_connection.entry(peer).or_default() += 1;
            *taken.by_address.entry(peer.ip()).or_default() += 1;
        }
        if let Some(tenant) = &owner.tenant {
            *taken.by_tenant.entry(tenant.name.clone()).or_default() += 1;
        }
        Some(Box::new(MemberSlot {
            slots: self.clone(),
            owner: owner.clone(),
        }))
    }
}

impl Drop for MemberSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock();
        taken.all -= 1;
        let bytes = taken.all * MEMBER_BYTES;
        // Less can always be held.
        let _ = taken.draw.cover(bytes);
        if let Some(peer) = &self.owner.peer {
            give_back(&mut taken.by_connection, peer);
            give_back(&mut taken.by_address, &peer.ip());
        }
        if let Some(tenant) = &self.owner.tenant {
            give_back(&mut taken.by_tenant, &tenant.name);
        }
    }
}

fn count<K: Eq + Hash>(counts: &Counts<K>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

fn give_back<K: Eq + Hash>(counts: &mut Counts<K>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::owner::Tenant, *};

    #[test]
    fn nobody_takes_the_room_of_all() {
        let limits = Limits {
            members_per_connection_max: 2,
            members_per_address_max: 3,
            ..Limits::default()
        };
        let counters = Counters::default();
        let slots = MemberSlots::new(&limits, &counters);
        let at = |host, port, tenant: &str| MemberOwner {
            peer: Some(SocketAddr::from(([127, 0, 0, host], port))),
            tenant: Some(Tenant {
                name: tenant.into(),
                members_max: 4,
            }),
        };
        let mut taken = Vec::new();
        let mut take = |owner| {
            let slot = slots.take(&owner);
            let is_one = slot.is_some();
            taken.extend(slot);
            is_one
        };
        assert!(take(at(1, 1, "a")) && take(at(1, 1, "a")));
        assert!(!take(at(1, 1, "a")), "two of a connection");
        assert!(take(at(1, 2, "a")));
        assert!(!take(at(1, 3, "a")), "three of an address");
        assert!(take(at(2, 1, "a")));
        assert!(!take(at(3, 1, "a")), "four of a tenant");
        assert!(take(at(3, 1, "b")) && take(MemberOwner::default()));
        let counts: Vec<_> = [&slots.of_connection, &slots.of_address, &slots.of_tenant]
            .iter()
            .map(|counter| counter.count())
            .collect();
        assert_eq!(counts, [1, 1, 1]);
        taken.remove(0);
        assert!(slots.take(&at(1, 1, "a")).is_some());
        drop(taken);
        let taken = slots.taken.lock();
        assert!(taken.by_connection.is_empty() && taken.by_address.is_empty());
        assert!(taken.by_tenant.is_empty());
    }
}
