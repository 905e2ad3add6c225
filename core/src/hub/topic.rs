//! One channel, or one client's private messages, on this node.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

use super::{
    members::{JoinNumber, Members},
    patterns::Unmatched,
    sink::Sink,
};
use crate::{
    delivery::Receiver,
    persistence::{PersistenceError, PersistencePolicy},
    publication::{Clock, Draft, Epoch, Position, Publication, Seq, Target},
    receipt::Receipt,
};

/// One channel, or one client's private messages: its members, and the order of what they get.
pub(super) struct Topic {
    state: Mutex<TopicState>,
}

struct TopicState {
    epoch: Epoch,
    /// The number of the last publication that is to be kept. Others carry it too, so that what can be read
    /// back has no holes.
    seq: u64,
    /// The number of the last publication that was delivered.
    delivered: u64,
    /// Epoch and number go on from where the history of the channel ends, or nobody keeps one.
    resumed: bool,
    members: Members,
    unmatched: Unmatched,
    /// Publications that have their place and are being stored, and what came after them, in order.
    turns: VecDeque<PendingTurn>,
    /// Taken out of the map; nobody may join any more.
    retired: bool,
}

struct PendingTurn {
    publication: Arc<Publication>,
    turn: Turn,
}

/// What becomes of a publication when all before it were delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is still being stored.
    Wait,
    Deliver,
    /// It could not be stored; nobody gets it.
    Drop,
}

/// The topic was taken out of the map: look it up again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retired;

/// The place of a publication that nobody on this node can see: no later one will compare with it.
pub(super) fn unseen(clock: &Clock) -> Position {
    let timetoken = clock.tick();
    Position {
        epoch: Epoch(timetoken.0),
        seq: Seq(1),
        timetoken,
    }
}

impl Topic {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            state: Mutex::new(TopicState {
                epoch: Epoch(clock.tick().0),
                seq: 0,
                delivered: 0,
                resumed: false,
                members: Members::default(),
                unmatched: Unmatched::default(),
                turns: VecDeque::new(),
                retired: false,
            }),
        }
    }

    /// `None` when the topic is retired.
    pub(super) fn join(&self, receiver: &Arc<dyn Receiver>) -> Option<JoinNumber> {
        let mut state = self.state.lock();
        (!state.retired).then(|| state.members.join(receiver.clone()))
    }

    /// True when the last receiver left.
    pub(super) fn leave(&self, number: JoinNumber) -> bool {
        let mut state = self.state.lock();
        state.members.leave(number) && state.members.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().members.len()
    }

    pub(super) fn presence_takers(&self) -> usize {
        self.state.lock().members.presence_takers()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state.lock().is_idle()
    }

    /// Closes an idle topic for good; false when it is not idle.
    pub(super) fn retire(&self) -> bool {
        let mut state = self.state.lock();
        state.retired = state.is_idle();
        state.retired
    }

    pub(super) fn receivers<T>(&self, mut view: impl FnMut(&dyn Receiver) -> T) -> Vec<T> {
        let state = self.state.lock();
        let mut seen = Vec::with_capacity(state.members.len());
        state
            .members
            .each(None, |receiver| seen.push(view(&**receiver)));
        seen
    }

    /// True when the places of this topic go on from where its history ends.
    pub(super) fn is_resumed(&self) -> bool {
        self.state.lock().resumed
    }

    /// Lets places go on from `last`, where the history of the topic ends. Does nothing the second time.
    pub(super) fn resume(&self, last: Option<Position>) {
        let mut state = self.state.lock();
        if state.resumed {
            return;
        }
        state.resumed = true;
        if let Some(last) = last {
            state.epoch = last.epoch;
            state.seq = last.seq.0;
            state.delivered = last.seq.0;
        }
    }

    /// Gives a draft its place and delivers it.
    pub(super) fn publish(&self, clock: &Clock, draft: Draft, sink: &Sink<'_>) -> Position {
        let mut state = self.state.lock();
        let publication = state.place(clock, draft);
        let position = publication.position();
        if state.turns.is_empty() {
            state.fan_out(&publication, sink);
        } else {
            // Something before it is still being stored.
            state.turns.push_back(PendingTurn {
                publication: Arc::new(publication),
                turn: Turn::Deliver,
            });
        }
        position
    }

    /// Gives a draft its place, has it kept and delivers it, all in one step. `None` when the topic is retired.
    pub(super) fn publish_kept(
        &self,
        clock: &Clock,
        draft: Draft,
        policy: &dyn PersistencePolicy,
        sink: &Sink<'_>,
    ) -> Option<Result<Receipt, PersistenceError>> {
        let mut state = self.state.lock();
        if state.retired {
            return None;
        }
        let publication = Arc::new(state.place(clock, draft));
        let durability = match policy.persist_now(&publication) {
            Ok(durability) => durability,
            Err(error) => {
                // Nobody has seen its number.
                state.seq -= 1;
                return Some(Err(error));
            }
        };
        let position = publication.position();
        if state.turns.is_empty() {
            state.fan_out(&publication, sink);
        } else {
            state.turns.push_back(PendingTurn {
                publication,
                turn: Turn::Deliver,
            });
        }
        Some(Ok(Receipt::new(position, durability)))
    }

    /// Gives a draft its place and puts it in line to be stored, by `stand_in_line`, whose answer comes back;
    /// [`settle`](Self::settle) delivers it.
    pub(super) fn take_turn<R>(
        &self,
        clock: &Clock,
        draft: Draft,
        stand_in_line: impl FnOnce(Arc<Publication>) -> R,
    ) -> Result<(Position, R), Retired> {
        let mut state = self.state.lock();
        if state.retired {
            return Err(Retired);
        }
        let publication = Arc::new(state.place(clock, draft));
        state.turns.push_back(PendingTurn {
            publication: publication.clone(),
            turn: Turn::Wait,
        });
        let position = publication.position();
        // While the topic is locked: the line has the order of the places.
        Ok((position, stand_in_line(publication)))
    }

    /// A publication was stored or not; delivers whatever has waited for that.
    pub(super) fn settle(&self, position: Position, stored: bool, sink: &Sink<'_>) {
        let mut state = self.state.lock();
        if let Some(waiting) = state
            .turns
            .iter_mut()
            .find(|waiting| waiting.publication.position() == position)
        {
            waiting.turn = if stored { Turn::Deliver } else { Turn::Drop };
        }
        while state
            .turns
            .front()
            .is_some_and(|first| first.turn != Turn::Wait)
        {
            if let Some(first) = state.turns.pop_front()
                && first.turn == Turn::Deliver
            {
                state.fan_out(&first.publication, sink);
            }
        }
        if state.turns.is_empty() {
            // Nobody has seen the numbers of those that were refused last.
            state.seq = state.delivered;
        }
    }

    /// Tells the members, and wildcard subscribers, that publications are lost.
    pub(super) fn gap(&self, target: &Target, sink: &Sink<'_>) {
        let state = &mut *self.state.lock();
        sink.gap(target, &state.members, &mut state.unmatched);
    }

    /// Delivers a publication that has its place already.
    pub(super) fn deliver(&self, publication: &Publication, sink: &Sink<'_>) {
        self.state.lock().fan_out(publication, sink);
    }
}

impl TopicState {
    fn is_idle(&self) -> bool {
        self.members.len() == 0 && self.turns.is_empty()
    }

    fn fan_out(&mut self, publication: &Publication, sink: &Sink<'_>) {
        self.delivered = publication.position().seq.0;
        sink.fan_out(publication, &self.members, &mut self.unmatched);
    }

    fn place(&mut self, clock: &Clock, draft: Draft) -> Publication {
        self.seq += u64::from(draft.retention.store);
        draft.at(Position {
            epoch: self.epoch,
            seq: Seq(self.seq),
            timetoken: clock.tick(),
        })
    }
}
