//! De-duplication of messages of QoS 2 from a client: one that comes again with a packet id that was not released is the
//! same message (MQTT 5.0 section 4.3.3).

use std::{collections::HashSet, num::NonZeroU16};

use crate::settings::RECEIVE_MAX;

/// Packet ids of messages of QoS 2 that were published, and that the client has not released.
#[derive(Debug, Default)]
pub(crate) struct UnreleasedIds(HashSet<NonZeroU16>);

/// What a message of QoS 2 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    /// It was published before; the client missed the answer.
    Duplicate,
    /// The client has more on their way than it may.
    TooMany,
}

impl UnreleasedIds {
    pub(super) fn arrival(&self, id: NonZeroU16) -> Arrival {
        if self.0.contains(&id) {
            Arrival::Duplicate
        } else if self.0.len() >= usize::from(RECEIVE_MAX) {
            Arrival::TooMany
        } else {
            Arrival::New
        }
    }

    /// A message was published.
    pub(super) fn published(&mut self, id: NonZeroU16) {
        self.0.insert(id);
    }

    /// The client will not send a message again; false for one that is not known.
    pub(super) fn release(&mut self, id: NonZeroU16) -> bool {
        self.0.remove(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = NonZeroU16> {
        self.0.iter().copied()
    }
}

impl FromIterator<NonZeroU16> for UnreleasedIds {
    fn from_iter<I: IntoIterator<Item = NonZeroU16>>(ids: I) -> Self {
        Self(ids.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_duplicate_until_it_is_released() {
        let id = |id| NonZeroU16::new(id).unwrap();
        let mut ids = UnreleasedIds::default();
        assert_eq!(ids.arrival(id(7)), Arrival::New);
        ids.published(id(7));
        assert_eq!(ids.arrival(id(7)), Arrival::Duplicate);
        assert_eq!(ids.arrival(id(8)), Arrival::New);
        assert!(ids.release(id(7)) && !ids.release(id(7)));
        assert_eq!(ids.arrival(id(7)), Arrival::New);
        let mut full: UnreleasedIds = (1..=RECEIVE_MAX).map(id).collect();
        assert_eq!(full.arrival(id(RECEIVE_MAX + 1)), Arrival::TooMany);
        assert_eq!(full.arrival(id(1)), Arrival::Duplicate);
        full.release(id(1));
        assert_eq!(full.arrival(id(1)), Arrival::New);
    }
}
