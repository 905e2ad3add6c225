//! Instances of a client: tabs and devices that share a uuid, told apart by `instanceid`. A client leaves a channel when all
//! of them have left.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use polywire_core::{Channel, ClientId, Counter, Counters, Draw, Held};
use tokio::time::Instant;

use crate::query::Query;

/// Bytes of an id; a longer one tells nobody apart.
const ID_BYTES_MAX: usize = 128;

/// Bytes of all that is remembered; beyond that instances are not told apart.
const BYTES_MAX: usize = 32 << 20;

/// Bytes that an instance takes, beside its id.
const INSTANCE_BYTES: usize = 384;

/// How often it is looked whether the instances of a client are gone.
const LOOK: Duration = Duration::from_secs(60);

/// The id that a request has; none where it has none.
pub(crate) fn instance_id(query: &Query<'_>) -> Option<Box<str>> {
    let id = query.get("instanceid").flatten()?;
    (!id.is_empty() && id.len() <= ID_BYTES_MAX).then(|| id.into())
}

/// The instances of all clients that have such an id, on this node.
pub(crate) struct Instances {
    table: Mutex<Table>,
    not_told_apart: Arc<Counter>,
}

struct Table {
    members: HashMap<Member, Vec<Instance>, RandomState>,
    looks: VecDeque<(Instant, Member)>,
    bytes: usize,
    /// The same of the memory budget.
    draw: Draw,
}

type Member = (Channel, ClientId);

struct Instance {
    id: Box<str>,
    /// That are held.
    polls: usize,
    /// How long the last sign of life counts.
    until: Instant,
}

impl Instance {
    fn is_here(&self, now: Instant) -> bool {
        self.polls > 0 || self.until > now
    }

    fn bytes(&self) -> usize {
        INSTANCE_BYTES + self.id.len()
    }
}

impl Instances {
    pub(crate) fn new(counters: &Counters) -> Self {
        Self {
            table: Mutex::new(Table {
                members: HashMap::default(),
                looks: VecDeque::new(),
                bytes: 0,
                draw: Draw::new(Held::Requests),
            }),
            not_told_apart: counters.of("pubnub", "instances not told apart: no room"),
        }
    }

    /// A sign of life that counts so long; of a poll that is held, until it is [released](Self::release).
    pub(crate) fn touch(&self, channel: &Channel, client: &ClientId, id: &str, lease: Duration) {
        self.change(channel, client, id, lease, |_| {});
    }

    /// The same of a poll that is held.
    pub(crate) fn hold(&self, channel: &Channel, client: &ClientId, id: &str, lease: Duration) {
        self.change(channel, client, id, lease, |instance| instance.polls += 1);
    }

    /// A poll that was held is over. It brings no instance back that left meanwhile.
    pub(crate) fn release(&self, channel: &Channel, client: &ClientId, id: &str, lease: Duration) {
        let mut table = self.table.lock();
        let member = (channel.clone(), client.clone());
        let instances = table.members.get_mut(&member);
        let mut instances = instances.into_iter().flatten();
        if let Some(instance) = instances.find(|instance| *instance.id == *id) {
            instance.polls = instance.polls.saturating_sub(1);
            instance.until = Instant::now() + lease;
        }
    }

    /// An instance leaves, or one without an id. True when no other one is there.
    pub(crate) fn leave(&self, channel: &Channel, client: &ClientId, id: Option<&str>) -> bool {
        let mut table = self.table.lock();
        if table.members.is_empty() {
            return true;
        }
        let now = Instant::now();
        table.retain(&(channel.clone(), client.clone()), |instance| {
            id != Some(&*instance.id) && instance.is_here(now)
        })
    }

    fn change(
        &self,
        channel: &Channel,
        client: &ClientId,
        id: &str,
        lease: Duration,
        change: impl FnOnce(&mut Instance),
    ) {
        let now = Instant::now();
        let mut table = self.table.lock();
        table.look(now);
        match table.instance((channel.clone(), client.clone()), id, now) {
            Some(instance) => {
                instance.until = now + lease;
                change(instance);
            }
            None => self.not_told_apart.add(),
        }
    }
}

impl Table {
    /// The instance, made where there is none; none when there is no room for it.
    fn instance(&mut self, member: Member, id: &str, now: Instant) -> Option<&mut Instance> {
        let known = self.members.get(&member);
        let place = known.and_then(|all| all.iter().position(|instance| *instance.id == *id));
        if place.is_none() {
            let instance = Instance {
                id: id.into(),
                polls: 0,
                until: now,
            };
            let bytes = self.bytes + instance.bytes();
            if bytes > BYTES_MAX || !self.draw.cover(bytes) {
                return None;
            }
            self.bytes = bytes;
            if known.is_none() {
                self.looks.push_back((now + LOOK, member.clone()));
            }
            self.members
                .entry(member.clone())
                .or_default()
                .push(instance);
        }
        let all = self.members.get_mut(&member)?;
        let last = all.len().checked_sub(1)?;
        all.get_mut(place.unwrap_or(last))
    }

    /// Forgets those that are gone of the members that it is time to look at.
    fn look(&mut self, now: Instant) {
        while self.looks.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, member)) = self.looks.pop_front() else {
                return;
            };
            if !self.retain(&member, |instance| instance.is_here(now)) {
                self.looks.push_back((now + LOOK, member));
            }
        }
    }

    /// Forgets instances of a member; true when none is left.
    fn retain(&mut self, member: &Member, keep: impl Fn(&Instance) -> bool) -> bool {
        let Some(instances) = self.members.get_mut(member) else {
            return true;
        };
        let bytes = &mut self.bytes;
        instances.retain(|instance| {
            let is_kept = keep(instance);
            if !is_kept {
                *bytes -= instance.bytes();
            }
            is_kept
        });
        let is_empty = instances.is_empty();
        if is_empty {
            self.members.remove(member);
        }
        // Less can always be held.
        let _ = self.draw.cover(self.bytes);
        is_empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(300);

    fn names() -> (Channel, ClientId) {
        (Channel::new("room").unwrap(), ClientId::new("ann").unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_leaves_with_its_last_instance() {
        let (instances, (room, ann)) = (Instances::new(&Counters::default()), names());
        assert!(instances.leave(&room, &ann, None));
        instances.hold(&room, &ann, "one", LEASE);
        instances.touch(&room, &ann, "two", LEASE);
        assert!(!instances.leave(&room, &ann, None));
        assert!(!instances.leave(&room, &ann, Some("one")));
        // A poll of the one that left ends later.
        instances.release(&room, &ann, "one", LEASE);
        let hall = Channel::new("hall").unwrap();
        assert!(instances.leave(&hall, &ann, Some("two")));
        assert!(instances.leave(&room, &ann, Some("two")));
        let table = instances.table.lock();
        assert!(table.members.is_empty() && table.bytes == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_is_not_heard_of_is_gone() {
        let (instances, (room, ann)) = (Instances::new(&Counters::default()), names());
        instances.touch(&room, &ann, "one", LEASE);
        instances.hold(&room, &ann, "two", LEASE);
        tokio::time::advance(LEASE).await;
        assert!(!instances.leave(&room, &ann, Some("three")), "it polls");
        instances.release(&room, &ann, "two", LEASE);
        tokio::time::advance(LEASE).await;
        assert!(instances.leave(&room, &ann, Some("three")));
        // Nothing is kept of those who just stay away.
        for number in 0..1000 {
            let client = ClientId::new(&format!("c{number}")).unwrap();
            instances.touch(&room, &client, "one", LEASE);
        }
        for _ in 0..20 {
            tokio::time::advance(LOOK).await;
            instances.touch(&room, &ann, "one", LEASE);
        }
        let table = instances.table.lock();
        assert_eq!((table.members.len(), table.looks.len()), (1, 1));
        assert_eq!(table.bytes, INSTANCE_BYTES + 3);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let counters = Counters::default();
        let (instances, (room, ann)) = (Instances::new(&counters), names());
        let fit = BYTES_MAX / (INSTANCE_BYTES + 6);
        for number in 0..fit + 10 {
            let client = ClientId::new(&format!("c{number}")).unwrap();
            instances.touch(&room, &client, "abcdef", LEASE);
        }
        assert_eq!(instances.table.lock().members.len(), fit);
        assert_eq!(counters.all()[0].count(), 10);
        assert!(instances.leave(&room, &ann, Some("abcdef")));
    }
}
