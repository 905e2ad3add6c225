//! The throttle of wrong credentials: whoever tries them out is slowed down, by address.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use parking_lot::Mutex;

/// Milliseconds until an address may be wrong once more.
const REFILL_MILLIS: u64 = 6000;

/// Addresses that are remembered, at most.
const ADDRESSES_MAX: usize = 1 << 16;

/// Credentials that are remembered, at most.
const JUDGED_MAX: usize = 1 << 14;

/// What a counter says of credentials that were not judged.
pub(crate) const NOT_JUDGED: &str =
    "credentials that were not judged, since too many wrong ones came";

/// Slows down whoever tries credentials out: an address that was wrong so often is not judged for some seconds.
///
/// What was judged before is judged again at once and counts for nothing, be it right or wrong: a client that comes back
/// with the credentials that it had gets in, whatever others do behind its address, and one that repeats its mistake
/// locks nobody out. IPv6 addresses count by /64, which is what one subscriber has.
pub(crate) struct Throttle {
    /// 0 for no throttle.
    wrong_max: u64,
    began: Instant,
    /// Since the beginning, in milliseconds: when the address owes nothing any more.
    owing: Mutex<HashMap<Network, u64>>,
    /// Fingerprints of credentials, each in the one place that it can have: a later one takes that of an earlier.
    judged: Box<[AtomicU64]>,
    /// Keyed at random, so that nobody can make a fingerprint.
    hasher: RandomState,
}

/// The address was wrong too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong credentials came from this address: try again in some seconds")]
pub struct Throttled;

/// Credentials that are to be judged. Dropped, it was neither right nor wrong.
#[must_use]
pub struct LoginAttempt<'t> {
    throttle: &'t Throttle,
    peer: Option<SocketAddr>,
    fingerprint: u64,
}

/// What counts as one address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4(u32),
    /// A /64.
    V6(u64),
}

impl Network {
    fn of(peer: SocketAddr) -> Self {
        match peer.ip().to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Throttle {
    /// An address may be wrong so often at once; 0 for no throttle.
    pub(crate) fn new(wrong_max: u32) -> Self {
        Self {
            wrong_max: wrong_max.into(),
            began: Instant::now(),
            owing: Mutex::default(),
            judged: (0..JUDGED_MAX).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Begins to judge what an address shows, which is hashed. For what can be guessed: passwords and keys that somebody
    /// chose.
    ///
    /// # Errors
    /// [`Throttled`] for what was not judged before, from an address that was wrong too often.
    pub(crate) fn attempt(
        &self,
        peer: Option<SocketAddr>,
        shown: &impl Hash,
    ) -> Result<LoginAttempt<'_>, Throttled> {
        let fingerprint = self.hasher.hash_one(shown);
        if !self.was_judged(fingerprint) && self.is_throttled(peer, self.now()) {
            return Err(Throttled);
        }
        Ok(LoginAttempt {
            throttle: self,
            peer,
            fingerprint,
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn place(&self, fingerprint: u64) -> &AtomicU64 {
        &self.judged[fingerprint as usize % JUDGED_MAX]
    }

    fn was_judged(&self, fingerprint: u64) -> bool {
        self.place(fingerprint).load(Ordering::Relaxed) == fingerprint
    }

    fn is_throttled(&self, peer: Option<SocketAddr>, now: u64) -> bool {
        let Some(peer) = peer.filter(|_| self.wrong_max > 0) else {
            return false;
        };
        let owing = self.owing.lock();
        let until = owing.get(&Network::of(peer)).copied().unwrap_or(0);
        until.saturating_sub(now) > (self.wrong_max - 1) * REFILL_MILLIS
    }

    fn count(&self, peer: Option<SocketAddr>, now: u64) {
        let Some(peer) = peer.filter(|_| self.wrong_max > 0) else {
            return;
        };
        let mut owing = self.owing.lock();
        if owing.len() >= ADDRESSES_MAX {
            owing.retain(|_, until| *until > now);
            if owing.len() >= ADDRESSES_MAX {
                // So many at once are rarer than a full table would be long.
                owing.clear();
            }
        }
        let until = owing.entry(Network::of(peer)).or_default();
        // Attempts at the same time do not add up to hours.
        let most = now + self.wrong_max * REFILL_MILLIS;
        *until = ((*until).max(now) + REFILL_MILLIS).min(most);
    }
}

impl LoginAttempt<'_> {
    /// They were right.
    pub fn right(self) {
        let place = self.throttle.place(self.fingerprint);
        // Mostly it is there, and a look takes nothing from other threads.
        if place.load(Ordering::Relaxed) != self.fingerprint {
            place.store(self.fingerprint, Ordering::Relaxed);
        }
    }

    /// They were wrong.
    pub fn wrong(self) {
        let throttle = self.throttle;
        if !throttle.was_judged(self.fingerprint) {
            throttle.count(self.peer, throttle.now());
        }
        self.right();
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("addresses", &self.owing.lock().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LoginAttempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<SocketAddr> {
        Some(format!("{text}:1000").parse().unwrap())
    }

    /// Shows ten wrong ones.
    fn guess(throttle: &Throttle, from: Option<SocketAddr>) {
        for number in 0..10 {
            throttle.attempt(from, &(from, number)).unwrap().wrong();
        }
    }

    #[test]
    fn who_guesses_is_slowed_down_and_who_is_known_is_not() {
        let throttle = Throttle::new(10);
        let attacker = peer("192.0.2.1");
        throttle.attempt(attacker, &"known").unwrap().right();
        guess(&throttle, attacker);
        assert!(throttle.attempt(attacker, &"guess").is_err());
        // Behind the same address.
        throttle.attempt(attacker, &"known").unwrap().right();
        throttle.attempt(peer("192.0.2.2"), &"new").unwrap().right();
        // It may have been new to this server when it was shown elsewhere.
        throttle.attempt(attacker, &"new").unwrap().right();
        throttle.attempt(None, &"guess").unwrap().wrong();
    }

    #[test]
    fn the_same_mistake_counts_once() {
        let throttle = Throttle::new(2);
        let from = peer("192.0.2.1");
        for _ in 0..100 {
            throttle.attempt(from, &"old password").unwrap().wrong();
            throttle.attempt(from, &"old key").unwrap().wrong();
        }
        assert!(throttle.attempt(from, &"a third").is_err());
        assert!(throttle.attempt(from, &"old key").is_ok());
    }

    #[test]
    fn time_makes_good() {
        let throttle = Throttle::new(10);
        let from = peer("192.0.2.1");
        let now = throttle.now();
        (0..1000).for_each(|_| throttle.count(from, now));
        assert!(throttle.is_throttled(from, now + REFILL_MILLIS - 1));
        assert!(!throttle.is_throttled(from, now + REFILL_MILLIS));
        throttle.count(from, now + REFILL_MILLIS);
        assert!(throttle.is_throttled(from, now + REFILL_MILLIS));
        assert!(!throttle.is_throttled(from, now + 2 * REFILL_MILLIS));
        assert!(!Throttle::new(0).is_throttled(from, now), "it is off");
    }

    #[test]
    fn an_address_of_six_counts_by_what_a_subscriber_has() {
        let throttle = Throttle::new(10);
        guess(&throttle, peer("[2001:db8::1]"));
        assert!(throttle.attempt(peer("[2001:db8::ffff:2]"), &"x").is_err());
        assert!(throttle.attempt(peer("[2001:db8:0:1::1]"), &"x").is_ok());
        guess(&throttle, peer("[::ffff:192.0.2.1]"));
        assert!(throttle.attempt(peer("192.0.2.1"), &"y").is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::new(10);
        for address in 0..ADDRESSES_MAX as u32 + 10 {
            let ip = IpAddr::from(address.to_be_bytes());
            throttle.count(Some((ip, 1).into()), 0);
        }
        assert!(throttle.owing.lock().len() <= ADDRESSES_MAX);
    }
}
