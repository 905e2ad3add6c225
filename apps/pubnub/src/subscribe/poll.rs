//! A poll that is held until something comes.

use std::sync::Arc;

use polywire_core::http::Answer;
use tokio::time::{Instant, timeout_at};

use super::{answer::write, held_rights::HeldRights, members::Members, request::Version};
use crate::{
    call::Call,
    filter::{Filter, Turns},
    history, reply,
    stream::{Entry, Streams, Waiter},
    subscribe_set::SubscribeSet,
};

/// A poll that is to be held.
pub(super) struct Poll<'p> {
    pub(super) call: &'p Call<'p>,
    pub(super) streams: &'p Streams,
    pub(super) version: Version,
    pub(super) set: &'p SubscribeSet,
    pub(super) filter: Option<&'p Arc<Filter>>,
    pub(super) after: u64,
}

impl Poll<'_> {
    /// Waits for something to come after the cursor, as long as polls are held.
    pub(super) async fn run(self, members: &mut Members<'_>) -> Result<Answer, reply::Refused> {
        let (call, streams, set) = (self.call, self.streams, self.set);
        let answer =
            |cursor, found: &[_]| reply::ok(write(self.version, call.set, set, cursor, found));
        let context = call.context;
        let mut after = self.after;
        let waiting = HeldPoll {
            streams,
            set,
            waiter: Waiter::new(),
        };
        let rights = HeldRights::of(call, &waiting.waiter);
        let hold = context.settings.hold;
        let left = rights.as_ref().and_then(|rights| rights.left());
        let end = Instant::now() + left.map_or(hold, |left| left.min(hold));
        let mut is_last = false;
        loop {
            if rights.as_ref().is_some_and(|rights| rights.have_ended()) {
                // Clients give up on an error here. The next poll is judged, from where this one was.
                return Ok(answer(after, &[]));
            }
            let mut batch = streams.read(set, after, &waiting.waiter);
            if !batch.gaps.is_empty() && context.settings.catch_up {
                let backfill = Box::pin(history::backfill(call.space(), after, &batch.gaps)).await;
                batch = streams.read_with(set, after, &waiting.waiter, backfill);
            }
            if batch.is_late {
                context.late_polls.add();
            }
            let came = !batch.found.is_empty();
            if self.version == Version::First {
                leave_out_actions(call, &mut batch.found);
            }
            if let Some(filter) = self.filter.filter(|_| came) {
                // Boxed, so that a poll that is held does not carry room for it.
                Box::pin(keep_wanted(filter, &context.turns, &mut batch.found)).await;
            }
            let drain = call.space().runtime().drain();
            let turn = drain.turn_of(call.request.place);
            if !batch.found.is_empty() || is_last {
                return Ok(answer(batch.cursor, &batch.found));
            }
            if context.is_stopping() || drain.is_turn_of(call.request.place) {
                // It goes on from where it was, on another node.
                return Ok(answer(self.after, &[]));
            }
            after = batch.cursor;
            if came {
                // None of it is wanted: look again, behind it, when others have had their turn.
                tokio::task::yield_now().await;
                continue;
            }
            let until = [members.later(), turn]
                .into_iter()
                .flatten()
                .fold(end, Instant::min);
            if timeout_at(until, waiting.waiter.woken()).await.is_err() {
                is_last = Instant::now() >= end;
                Box::pin(members.join()).await;
            }
        }
    }
}

/// Leaves out message actions, which nothing in an answer of the first version tells from messages.
fn leave_out_actions(call: &Call<'_>, found: &mut Vec<(Arc<Entry>, usize)>) {
    let before = found.len();
    found.retain(|(entry, _)| !entry.is_action());
    if found.len() < before {
        let counters = call.space().runtime().counters();
        let left_out = counters.of("pubnub", "message action left out of subscribe v1");
        left_out.add_many((before - found.len()) as u64);
    }
}

/// Leaves out the messages that a filter does not want.
async fn keep_wanted(filter: &Arc<Filter>, turns: &Turns, found: &mut Vec<(Arc<Entry>, usize)>) {
    let mut wanted = Vec::new();
    for (entry, by) in found.drain(..) {
        let is_wanted = match entry.message() {
            Some(message) => filter.wants(entry.order, message, turns).await,
            None => true,
        };
        if is_wanted {
            wanted.push((entry, by));
        }
    }
    *found = wanted;
}

/// A poll that waits; when the client goes away it does not any more.
struct HeldPoll<'w> {
    streams: &'w Streams,
    set: &'w SubscribeSet,
    waiter: Arc<Waiter>,
}

impl Drop for HeldPoll<'_> {
    fn drop(&mut self) {
        self.streams.forget(self.set, &self.waiter);
    }
}
