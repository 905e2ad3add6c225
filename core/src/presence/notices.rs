//! Notices of presence: who came and went, in order, on the way from the table to the members.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{change::Membership, summaries::Summaries};
use crate::{
    channel::Channel,
    counters::{Counter, Counters},
    publication::{PresenceAction, PresenceEvent},
};

/// Notices that wait at once before it is looked which of them cancel each other out.
const WAITING_MAX: usize = 65_536;

/// How long somebody waits at most until the members were told: longer than other nodes are waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the members of a channel are told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PresenceNotice {
    pub(crate) channel: Channel,
    pub(crate) event: PresenceEvent,
    /// A credential has proven who the client is.
    pub(crate) is_proven: bool,
}

/// Notices in their order, from the table to the task that publishes them.
///
/// There are no more than members: where too much waits, a client that came and went in between is not told of.
#[derive(Debug)]
pub(crate) struct PresenceNotices {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// How many were told.
    told: watch::Sender<u64>,
    not_told: Arc<Counter>,
    /// Of channels with many members.
    summaries: Mutex<Summaries>,
}

#[derive(Debug)]
struct Waiting {
    notices: VecDeque<PresenceNotice>,
    noted: u64,
    /// So many that it is looked what cancels out.
    look_at: usize,
}

impl PresenceNotices {
    pub(super) fn new(counters: &Counters) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                notices: VecDeque::new(),
                noted: 0,
                look_at: WAITING_MAX,
            }),
            wake: Notify::new(),
            told: watch::Sender::new(0),
            not_told: counters.of("server", "came and went untold: too many notices wait"),
            summaries: Mutex::default(),
        }
    }

    pub(crate) fn note(&self, notice: PresenceNotice) {
        let mut waiting = self.waiting.lock();
        waiting.notices.push_back(notice);
        waiting.noted += 1;
        if waiting.notices.len() >= waiting.look_at {
            let before = waiting.notices.len();
            let left = without_cancelled(std::mem::take(&mut waiting.notices));
            (left.len()..before).for_each(|_| self.not_told.add());
            waiting.look_at = WAITING_MAX.max(2 * left.len());
            waiting.notices = left;
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Returns when there may be something to tell.
    pub(crate) async fn noted(&self) {
        self.wake.notified().await;
    }

    /// What is told of channels with many members, together.
    pub(crate) fn summaries(&self) -> MutexGuard<'_, Summaries> {
        self.summaries.lock()
    }

    /// Takes the next ones, and how many were noted with the last of them.
    pub(crate) fn take(&self, max: usize) -> (Vec<PresenceNotice>, u64) {
        let mut waiting = self.waiting.lock();
        let count = max.min(waiting.notices.len());
        let taken = waiting.notices.drain(..count).collect();
        let left = waiting.notices.len();
        if left == 0 {
            waiting.look_at = WAITING_MAX;
            waiting.notices.shrink_to(max);
        } else {
            self.wake.notify_one();
        }
        // What was cancelled out counts as told with what stood before it.
        (taken, waiting.noted - left as u64)
    }

    pub(crate) fn tell(&self, up_to: u64) {
        self.told.send_replace(up_to);
    }

    /// Waits until the members were told of everything so far, but not for ever: a backend may hang.
    pub(crate) async fn told(&self) {
        let noted = self.waiting.lock().noted;
        if *self.told.borrow() >= noted {
            return;
        }
        let mut told = self.told.subscribe();
        let waits = told.wait_for(|told| *told >= noted);
        // Neither the time-out nor the end of the task is an error to the caller.
        let _ = timeout(PATIENCE, waits).await;
    }
}

/// Leaves out who came and went, or went and came, and states that were followed by others.
fn without_cancelled(notices: VecDeque<PresenceNotice>) -> VecDeque<PresenceNotice> {
    let mut kept: Vec<Option<PresenceNotice>> = Vec::with_capacity(notices.len());
    // The last coming or going of each, and its last state.
    let mut moves: HashMap<Membership, usize, RandomState> = HashMap::default();
    let mut states: HashMap<Membership, usize, RandomState> = HashMap::default();
    for notice in notices {
        let Some(client) = notice.event.client.clone() else {
            continue;
        };
        let member = (notice.channel.clone(), client);
        let is_state = notice.event.action == PresenceAction::StateChange;
        if let Some(state) = states.remove(&member) {
            kept[state] = None;
        }
        if is_state {
            states.insert(member, kept.len());
        } else if let Some(before) = moves.remove(&member) {
            kept[before] = None;
            continue;
        } else {
            moves.insert(member, kept.len());
        }
        kept.push(Some(notice));
    }
    kept.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientId;

    fn notice(client: &str, action: PresenceAction) -> PresenceNotice {
        PresenceNotice {
            channel: Channel::new("room").unwrap(),
            event: PresenceEvent {
                action,
                client: ClientId::new(client).ok(),
                occupancy: 1,
                state: None,
            },
            is_proven: false,
        }
    }

    #[tokio::test]
    async fn what_is_noted_is_taken_in_order_and_waited_for() {
        let notices = PresenceNotices::new(&Counters::default());
        for n in 0..10 {
            notices.note(notice(&n.to_string(), PresenceAction::Join));
        }
        let (first, up_to) = notices.take(4);
        assert_eq!((first.len(), up_to), (4, 4));
        let (rest, up_to) = notices.take(100);
        assert_eq!((rest.len(), up_to), (6, 10));
        assert_eq!(rest[5].event.client, ClientId::new("9").ok());
        notices.tell(up_to);
        timeout(PATIENCE / 2, notices.told()).await.unwrap();
    }

    #[test]
    fn there_are_no_more_than_members() {
        let counters = Counters::default();
        let notices = PresenceNotices::new(&counters);
        notices.note(notice("bob", PresenceAction::Leave));
        for _ in 0..WAITING_MAX {
            notices.note(notice("ann", PresenceAction::Join));
            notices.note(notice("ann", PresenceAction::StateChange));
            notices.note(notice("ann", PresenceAction::Leave));
            assert!(notices.waiting.lock().notices.len() <= WAITING_MAX);
        }
        notices.note(notice("ann", PresenceAction::Join));
        let (left, up_to) = notices.take(usize::MAX);
        assert_eq!(left[0], notice("bob", PresenceAction::Leave));
        // Whoever is there in the end was told so, and one after the other.
        let moves = left[1..].iter().map(|notice| notice.event.action);
        let moves: Vec<_> = moves
            .filter(|action| *action != PresenceAction::StateChange)
            .collect();
        for (index, action) in moves.iter().enumerate() {
            let expected = [PresenceAction::Join, PresenceAction::Leave][index % 2];
            assert_eq!(*action, expected);
        }
        assert_eq!(moves.len() % 2, 1);
        assert_eq!(up_to, 3 * WAITING_MAX as u64 + 2);
        assert!(counters.all()[0].count() > 0);
    }
}
