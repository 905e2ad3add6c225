//! Places of publications in the log, as the index remembers them.

use std::time::Duration;

/// A publication in the index. There is one for every publication that is kept, so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) timetoken: u64,
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// Bytes of the whole record.
    pub(super) len: u32,
    pub(super) ttl: Ttl,
}

const _: () = assert!(size_of::<Place>() == 24);

impl Place {
    /// Bytes that one takes up in the index, with the room that its queue has left on average.
    pub(super) const BYTES: usize = 30;

    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.ttl.end(self.timetoken) <= now
    }
}

/// A time to live in four bytes: milliseconds up to 24 days, then seconds; rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ttl(pub(super) u32);

const SECONDS: u32 = 1 << 31;
const TICKS_PER_MS: u64 = 10_000;

impl Ttl {
    pub(super) fn of(ttl: Option<Duration>) -> Self {
        let Some(ttl) = ttl else {
            return Self(0);
        };
        let ms = ttl.as_nanos().div_ceil(1_000_000).max(1);
        match u32::try_from(ms) {
            Ok(ms) if ms < SECONDS => Self(ms),
            _ => {
                let secs = u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX);
                Self(SECONDS | secs.min(SECONDS - 1))
            }
        }
    }

    pub(super) fn is_some(self) -> bool {
        self.0 != 0
    }

    /// The time from which on the publication is gone.
    pub(super) fn end(self, timetoken: u64) -> u64 {
        let ms = match self.0 {
            0 => return u64::MAX,
            ms if ms < SECONDS => u64::from(ms),
            secs => u64::from(secs & !SECONDS) * 1000,
        };
        timetoken.saturating_add(ms * TICKS_PER_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_never_cut_short() {
        let end = |ttl| Ttl::of(Some(ttl)).end(0) / 10;
        for us in [
            0,
            1,
            1500,
            2_147_483_647_000,
            2_147_483_648_000,
            10u64.pow(14),
        ] {
            let ttl = end(Duration::from_micros(us));
            assert!(ttl >= us && ttl <= us + 1_000_000, "{us} became {ttl}");
        }
        assert_eq!(Ttl::of(None).end(5), u64::MAX);
        assert_eq!(Ttl::of(Some(Duration::MAX)).end(u64::MAX), u64::MAX);
    }
}
