//! Recent changes of presence: who has just come or left.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use polywire_core::{Channel, ClientId};
use tokio::time::Instant;

/// How long it counts.
const GRACE: Duration = Duration::from_secs(1);

/// What is remembered at most; beyond that the oldest is forgotten.
const NOTES_MAX: usize = 64 * 1024;

/// Who has just come to a channel, or left it, with something to remember of it.
///
/// Clients do two things at once on two connections, which may be read in either order:
///
/// - One that unsubscribes drops its poll and says that it leaves. When the poll was only just sent and is
///   read after the leave, it must not bring the client back. If it is still open when the grace is over, it
///   is meant.
/// - One that subscribes shakes hands and sends a heartbeat. When the heartbeat is read first the client has
///   come before its cursor is taken; it gets the cursor from before that, so that it sees itself come.
#[derive(Debug)]
pub(crate) struct Recent<T>(Mutex<Notes<T>>);

#[derive(Debug)]
struct Notes<T> {
    values: HashMap<(Channel, ClientId), (Instant, T), RandomState>,
    order: VecDeque<(Instant, Channel, ClientId)>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::new(Notes {
            values: HashMap::default(),
            order: VecDeque::new(),
        }))
    }
}

impl<T: Copy> Recent<T> {
    pub(crate) fn note(&self, channel: &Channel, client: &ClientId, value: T) {
        let now = Instant::now();
        let end = now + GRACE;
        let mut notes = self.0.lock();
        notes.forget(now);
        let key = (channel.clone(), client.clone());
        notes.values.insert(key, (end, value));
        notes
            .order
            .push_back((end, channel.clone(), client.clone()));
    }

    /// What is remembered, and until when.
    pub(crate) fn get(&self, channel: &Channel, client: &ClientId) -> Option<(Instant, T)> {
        let mut notes = self.0.lock();
        if notes.values.is_empty() {
            return None;
        }
        let now = Instant::now();
        notes.forget(now);
        let found = notes.values.get(&(channel.clone(), client.clone()));
        found.copied().filter(|(end, _)| *end > now)
    }
}

impl<T> Notes<T> {
    fn forget(&mut self, now: Instant) {
        while let Some((end, _, _)) = self.order.front() {
            if *end > now && self.order.len() <= NOTES_MAX {
                return;
            }
            if let Some((end, channel, client)) = self.order.pop_front() {
                let key = (channel, client);
                if self.values.get(&key).is_some_and(|(last, _)| *last == end) {
                    self.values.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_counts_for_a_second() {
        let recent = Recent::default();
        let (room, ann) = (Channel::new("room").unwrap(), ClientId::new("ann").unwrap());
        assert_eq!(recent.get(&room, &ann), None);
        recent.note(&room, &ann, 7);
        assert_eq!(recent.get(&room, &ann), Some((Instant::now() + GRACE, 7)));
        assert_eq!(recent.get(&Channel::new("hall").unwrap(), &ann), None);
        tokio::time::advance(GRACE / 2).await;
        recent.note(&room, &ann, 8);
        tokio::time::advance(GRACE / 2).await;
        assert_eq!(recent.get(&room, &ann).unwrap().1, 8);
        tokio::time::advance(GRACE / 2).await;
        assert_eq!(recent.get(&room, &ann), None);
        assert!(recent.0.lock().values.is_empty());
    }
}
