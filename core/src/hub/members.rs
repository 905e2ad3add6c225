//! The receivers of one topic.

use std::sync::Arc;

use crate::{delivery::Receiver, identity::ConnectionId};

/// The place of a receiver in the order of joining; needed to leave again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JoinNumber(u64);

/// Receivers in join order. Leaving is a binary search; holes are closed when half are holes, so that
/// walking is as fast as a plain vector.
#[derive(Default)]
pub(super) struct Members {
    slots: Vec<(JoinNumber, Option<Arc<dyn Receiver>>)>,
    live: usize,
    /// Those that take notices of presence.
    presence_takers: usize,
    next: u64,
}

impl Members {
    pub(super) fn join(&mut self, receiver: Arc<dyn Receiver>) -> JoinNumber {
        let number = JoinNumber(self.next);
        self.next += 1;
        self.live += 1;
        self.presence_takers += usize::from(receiver.takes_presence());
        if self.slots.capacity() == 0 {
            // Most topics have one receiver; a vector that grows by itself would begin with room for four.
            self.slots.reserve_exact(1);
        }
        self.slots.push((number, Some(receiver)));
        number
    }

    /// True when the receiver was there.
    pub(super) fn leave(&mut self, number: JoinNumber) -> bool {
        let Ok(index) = self
            .slots
            .binary_search_by_key(&number, |(number, _)| *number)
        else {
            return false;
        };
        let Some(receiver) = self.slots[index].1.take() else {
            return false;
        };
        self.live -= 1;
        self.presence_takers -= usize::from(receiver.takes_presence());
        if self.live * 2 < self.slots.len() {
            self.slots.retain(|(_, receiver)| receiver.is_some());
            self.slots.shrink_to(self.live * 2);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Those that take notices of presence.
    pub(super) fn presence_takers(&self) -> usize {
        self.presence_takers
    }

    /// Calls `visit` for every receiver but those of `except`.
    pub(super) fn each<'m>(
        &'m self,
        except: Option<ConnectionId>,
        mut visit: impl FnMut(&'m Arc<dyn Receiver>),
    ) {
        let receivers = self
            .slots
            .iter()
            .filter_map(|(_, receiver)| receiver.as_ref());
        match except {
            None => receivers.for_each(visit),
            Some(except) => {
                receivers
                    .filter(|receiver| receiver.connection() != except)
                    .for_each(&mut visit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{delivery::Fanout, identity::ClientId, identity::NodeId};

    struct Nobody(ConnectionId);

    impl Receiver for Nobody {
        fn connection(&self) -> ConnectionId {
            self.0
        }
        fn client(&self) -> Option<ClientId> {
            None
        }
        fn deliver(&self, _: &mut Fanout<'_>) {}
    }

    #[test]
    fn keeps_join_order_through_leaving() {
        let ids: Vec<_> = (0..100).map(|_| ConnectionId::next(NodeId(1))).collect();
        let mut members = Members::default();
        let numbers: Vec<_> = ids
            .iter()
            .map(|id| members.join(Arc::new(Nobody(*id))))
            .collect();
        for number in numbers.iter().step_by(3) {
            assert!(members.leave(*number));
            assert!(!members.leave(*number));
        }
        let mut seen = Vec::new();
        members.each(Some(ids[1]), |receiver| seen.push(receiver.connection()));
        let expected: Vec<_> = (0..100)
            .filter(|index| index % 3 != 0 && *index != 1)
            .map(|index| ids[index])
            .collect();
        assert_eq!(seen, expected);
        assert_eq!(members.len(), 66);
    }
}
