//! One channel, or one client's private messages, on this node.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

use super::{
    Sink,
    members::{JoinNumber, Members},
    patterns::Unmatched,
};
use crate::{
    delivery::Receiver,
    publication::{Clock, Draft, Epoch, Position, Publication, Seq},
};

/// One channel, or one client's private messages: its members, and the order of what they get.
pub(super) struct Topic {
    state: Mutex<State>,
}

struct State {
    epoch: Epoch,
    seq: u64,
    members: Members,
    unmatched: Unmatched,
    /// Publications that have their place and are being stored, in order.
    turns: VecDeque<Waiting>,
    /// Taken out of the map; nobody may join any more.
    retired: bool,
}

struct Waiting {
    publication: Arc<Publication>,
    stored: bool,
}

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
            state: Mutex::new(State {
                epoch: Epoch(clock.tick().0),
                seq: 0,
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

    /// Gives a draft its place and delivers it.
    pub(super) fn publish(&self, clock: &Clock, draft: Draft, sink: &Sink<'_>) -> Position {
        let mut state = self.state.lock();
        let publication = state.place(clock, draft);
        let position = publication.position();
        if state.turns.is_empty() {
            state.fan_out(&publication, sink);
        } else {
            // Something before it is still being stored.
            state.turns.push_back(Waiting {
                publication: Arc::new(publication),
                stored: true,
            });
        }
        position
    }

    /// Gives a draft its place; it is delivered when the turn is dropped and all before it were.
    pub(super) fn take_turn<'t>(&'t self, clock: &Clock, draft: Draft, sink: Sink<'t>) -> Turn<'t> {
        let mut state = self.state.lock();
        let publication = Arc::new(state.place(clock, draft));
        state.turns.push_back(Waiting {
            publication: publication.clone(),
            stored: false,
        });
        Turn {
            topic: self,
            publication,
            sink,
        }
    }

    /// Delivers a publication that has its place already.
    pub(super) fn deliver(&self, publication: &Publication, sink: &Sink<'_>) {
        self.state.lock().fan_out(publication, sink);
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.members.len() == 0 && self.turns.is_empty()
    }

    fn fan_out(&mut self, publication: &Publication, sink: &Sink<'_>) {
        sink.fan_out(publication, &self.members, &mut self.unmatched);
    }

    fn place(&mut self, clock: &Clock, draft: Draft) -> Publication {
        self.seq += 1;
        draft.at(Position {
            epoch: self.epoch,
            seq: Seq(self.seq),
            timetoken: clock.tick(),
        })
    }
}

/// The right of a publication to be delivered after those before it. Dropping it makes use of it, so
/// that a publisher that goes away in the middle holds nobody up.
pub(super) struct Turn<'t> {
    topic: &'t Topic,
    publication: Arc<Publication>,
    sink: Sink<'t>,
}

impl Turn<'_> {
    pub(super) fn publication(&self) -> Arc<Publication> {
        self.publication.clone()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.topic.state.lock();
        let position = self.publication.position();
        if let Some(waiting) = state
            .turns
            .iter_mut()
            .find(|waiting| waiting.publication.position() == position)
        {
            waiting.stored = true;
        }
        while state.turns.front().is_some_and(|waiting| waiting.stored) {
            if let Some(waiting) = state.turns.pop_front() {
                state.fan_out(&waiting.publication, &self.sink);
            }
        }
    }
}
