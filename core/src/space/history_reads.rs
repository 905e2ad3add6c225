//! Reads of history that are under way: bounded in number while they are read, and in bytes until their answers are
//! written, in all and for each address.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{
    counters::{Counter, Counters},
    dispatcher::{Origin, Refusal, RefusalKind},
    limits::Limits,
    memory::{Draw, Held},
};

/// How long a read waits for others to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes are counted in units of a KiB.
const UNIT: usize = 1 << 10;

/// Addresses that are looked through when more have come.
const SWEPT_FROM: usize = 64;

/// Reads of history that are under way. Whoever reads history for a client [begins](Self::begin) here.
pub struct HistoryReads {
    all: Share,
    of_address: [usize; 2],
    addresses: Mutex<Addresses>,
    refused: Arc<Counter>,
}

/// Turns and bytes that somebody may have.
#[derive(Debug)]
struct Share {
    turns: Arc<Semaphore>,
    units: Arc<Semaphore>,
    units_max: usize,
}

#[derive(Default)]
struct Addresses {
    shares: HashMap<IpAddr, Weak<Share>, RandomState>,
    sweep_at: usize,
}

impl Share {
    fn new([turns, units]: [usize; 2]) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            units: Arc::new(Semaphore::new(units)),
            units_max: units,
        }
    }
}

impl HistoryReads {
    pub(super) fn new(limits: &Limits, counters: &Counters) -> Arc<Self> {
        // What a semaphore can count, which is more than anybody sets.
        let turns = |turns: usize| turns.min(Semaphore::MAX_PERMITS);
        let units = |bytes: usize| bytes.div_ceil(UNIT).min(u32::MAX as usize >> 1);
        Arc::new(Self {
            all: Share::new([
                turns(limits.history_reads_max),
                units(limits.history_bytes_max),
            ]),
            of_address: [
                turns(limits.history_reads_per_address_max),
                units(limits.history_bytes_per_address_max),
            ],
            addresses: Mutex::default(),
            refused: counters.of(
                "server",
                "history not read: too much of it waits for clients",
            ),
        })
    }

    /// Waits for a turn to read, a few seconds at most.
    ///
    /// # Errors
    /// Too many others read: [`Unavailable`](RefusalKind::Unavailable).
    ///
    /// # Cancel safety
    /// Nothing is taken when the future is dropped.
    pub async fn begin(self: &Arc<Self>, origin: &Origin) -> Result<HistoryRead, Refusal> {
        let own = origin.peer.map(|peer| self.share(peer.ip()));
        let shares = own.iter().map(|own| &**own).chain([&self.all]);
        let mut turns = Vec::with_capacity(2);
        let until = Instant::now() + PATIENCE;
        for share in shares {
            let turn = timeout_at(until, share.turns.clone().acquire_owned()).await;
            let turn = turn.map_err(|_| self.refuse())?;
            turns.push(turn.map_err(|_| self.refuse())?);
        }
        Ok(HistoryRead {
            reads: self.clone(),
            own,
            _turns: turns,
            held: HeldBytes::default(),
        })
    }

    fn share(&self, address: IpAddr) -> Arc<Share> {
        let mut addresses = self.addresses.lock();
        if let Some(share) = addresses.shares.get(&address).and_then(Weak::upgrade) {
            return share;
        }
        if addresses.shares.len() >= addresses.sweep_at {
            addresses.shares.retain(|_, share| share.strong_count() > 0);
            addresses.sweep_at = SWEPT_FROM.max(2 * addresses.shares.len());
        }
        let share = Arc::new(Share::new(self.of_address));
        addresses.shares.insert(address, Arc::downgrade(&share));
        share
    }

    fn refuse(&self) -> Refusal {
        self.refused.add();
        Refusal::new(
            RefusalKind::Unavailable,
            "Too much history is being read; try again in a few seconds.",
        )
    }
}

/// One read of history: it has its turn, and holds the bytes that it was given so far.
pub struct HistoryRead {
    reads: Arc<HistoryReads>,
    own: Option<Arc<Share>>,
    _turns: Vec<OwnedSemaphorePermit>,
    held: HeldBytes,
}

/// Bytes of an answer that are in memory until it is written.
#[derive(Debug, Default)]
#[must_use]
pub struct HeldBytes {
    units: Vec<OwnedSemaphorePermit>,
    /// The same of the memory budget.
    draws: Vec<Draw>,
    /// Kept, so that its address has one share.
    _own: Option<Arc<Share>>,
}

impl HistoryRead {
    /// So many bytes more were read. Waits until there is room for them, a few seconds at most.
    ///
    /// # Errors
    /// There is none, or never will be: [`Unavailable`](RefusalKind::Unavailable).
    ///
    /// # Cancel safety
    /// Nothing more is held when the future is dropped.
    pub async fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let draw = Draw::of(Held::Answers, bytes).ok_or_else(|| self.reads.refuse())?;
        let units = bytes.div_ceil(UNIT);
        let until = Instant::now() + PATIENCE;
        let mut taken = Vec::with_capacity(2);
        for share in self.own.iter().map(|own| &**own).chain([&self.reads.all]) {
            // A single page that is longer than all that may be held is read when nothing else is.
            let units = if self.held.units.is_empty() {
                units.min(share.units_max)
            } else {
                units
            };
            let count = u32::try_from(units).map_err(|_| self.reads.refuse())?;
            let acquired = timeout_at(until, share.units.clone().acquire_many_owned(count)).await;
            let permit = match acquired {
                Ok(Ok(permit)) => permit,
                Ok(Err(AcquireError { .. })) | Err(_) => return Err(self.reads.refuse()),
            };
            taken.push(permit);
        }
        self.held.units.extend(taken);
        self.held.draws.push(draw);
        Ok(())
    }

    /// All is read: gives the turn to the next one.
    pub fn end(self) -> HeldBytes {
        HeldBytes {
            _own: self.own,
            ..self.held
        }
    }
}

impl HeldBytes {
    /// Ties them to the bytes that are written: they are given back when those are gone.
    pub fn until_written(self, answer: impl Into<Bytes>) -> Bytes {
        Bytes::from_owner(HeldAnswer {
            answer: answer.into(),
            _held: self,
        })
    }
}

impl fmt::Debug for HistoryReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryReads")
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HistoryRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryRead")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

struct HeldAnswer {
    answer: Bytes,
    _held: HeldBytes,
}

impl AsRef<[u8]> for HeldAnswer {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn reads(counters: &Counters) -> Arc<HistoryReads> {
        let limits = Limits {
            history_reads_max: 3,
            history_reads_per_address_max: 2,
            history_bytes_max: 300 << 10,
            history_bytes_per_address_max: 200 << 10,
            ..Limits::default()
        };
        HistoryReads::new(&limits, counters)
    }

    fn from(host: u8) -> Origin {
        Origin::new("history", Identity::default()).peer(Some(([127, 0, 0, host], 7).into()))
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_bounded_for_an_address_and_in_all() {
        let counters = Counters::default();
        let reads = reads(&counters);
        let first = reads.begin(&from(1)).await.unwrap();
        let _second = reads.begin(&from(1)).await.unwrap();
        let refused = reads.begin(&from(1)).await.err().unwrap();
        assert_eq!(refused.kind, RefusalKind::Unavailable);
        let _other = reads.begin(&from(2)).await.unwrap();
        assert!(reads.begin(&from(3)).await.is_err());
        // Whoever waits gets the turn that another gives back.
        let from_one = from(1);
        let end = async { drop(first.end()) };
        let (reading, ()) = tokio::join!(reads.begin(&from_one), end);
        reading.unwrap();
        assert_eq!(counters.all()[0].count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_held_until_the_answer_is_gone() {
        let counters = Counters::default();
        let reads = reads(&counters);
        let mut first = reads.begin(&from(1)).await.unwrap();
        first.hold(100 << 10).await.unwrap();
        first.hold(50 << 10).await.unwrap();
        let answer = first.end().until_written("answer");
        let mut second = reads.begin(&from(1)).await.unwrap();
        assert!(second.hold(60 << 10).await.is_err(), "200 of an address");
        let mut other = reads.begin(&from(2)).await.unwrap();
        other.hold(140 << 10).await.unwrap();
        let mut third = reads.begin(&from(3)).await.unwrap();
        assert!(third.hold(20 << 10).await.is_err(), "300 in all");
        assert_eq!(&answer[..], b"answer");
        let part = answer.slice(2..);
        drop(answer);
        assert!(third.hold(20 << 10).await.is_err(), "a part is still there");
        drop(part);
        third.hold(20 << 10).await.unwrap();
        second.hold(60 << 10).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_longer_than_the_bound_is_read_alone() {
        let reads = reads(&Counters::default());
        let mut long = reads.begin(&from(1)).await.unwrap();
        long.hold(10 << 20).await.unwrap();
        let mut next = reads.begin(&from(1)).await.unwrap();
        assert!(next.hold(1).await.is_err());
        drop((long, next));
        assert_eq!(reads.all.units.available_permits(), 300);
        reads.begin(&from(1)).await.unwrap().hold(1).await.unwrap();
    }
}
