//! A poll that is held until something comes.

use std::sync::Arc;

use polywire_core::http::Answer;
use tokio::time::{Instant, timeout_at};

use super::{answer::write, members::Members};
use crate::{
    filter::Filter,
    history,
    names::Subject,
    reply,
    route::Call,
    stream::{Entry, Streams, Waiter},
};

/// A poll that is to be held.
pub(super) struct Poll<'p> {
    pub(super) call: &'p Call<'p>,
    pub(super) streams: &'p Streams,
    pub(super) subject: &'p Subject,
    pub(super) filter: Option<&'p Filter>,
    pub(super) after: u64,
}

impl Poll<'_> {
    /// Waits for something to come after the cursor, as long as polls are held.
    pub(super) async fn run(self, members: &mut Members<'_>) -> Result<Answer, reply::Refused> {
        let (call, streams, subject) = (self.call, self.streams, self.subject);
        let shared = call.shared;
        let mut after = self.after;
        let waiting = Waiting {
            streams,
            subject,
            waiter: Waiter::new(),
        };
        let end = Instant::now() + shared.settings.hold;
        let mut is_last = false;
        loop {
            // The token may have expired, or been revoked, meanwhile.
            call.caller.check_again(&shared.access)?;
            let mut batch = streams.read(subject, after, &waiting.waiter);
            if !batch.gaps.is_empty() && shared.settings.catch_up {
                let older = Box::pin(history::older(call.space(), after, &batch.gaps)).await;
                batch = streams.read_with(subject, after, &waiting.waiter, older);
            }
            let came = !batch.found.is_empty();
            if let Some(filter) = self.filter {
                let wanted = |entry: &Entry| entry.message().is_none_or(|m| filter.wants(m));
                batch.found.retain(|(entry, _)| wanted(entry));
            }
            let is_over = is_last || shared.is_stopping();
            if !batch.found.is_empty() || is_over {
                let answer = write(call.set, subject, batch.cursor, &batch.found);
                return Ok(reply::ok(answer));
            }
            after = batch.cursor;
            if came {
                // None of it is wanted: look again, behind it.
                continue;
            }
            let until = members.later().map_or(end, |later| later.min(end));
            if timeout_at(until, waiting.waiter.woken()).await.is_err() {
                is_last = Instant::now() >= end;
                Box::pin(members.join()).await;
            }
        }
    }
}

/// A poll that waits; when the client goes away it does not any more.
struct Waiting<'w> {
    streams: &'w Streams,
    subject: &'w Subject,
    waiter: Arc<Waiter>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.streams.forget(self.subject, &self.waiter);
    }
}
