//! Rights of a poll that is held: when they end, or are taken back, it is answered, and the next one is judged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use polywire_core::{
    ClientId, ConnectionId,
    delivery::{EndReason, Fanout, Receiver},
    space::Attachment,
};

use crate::{call::Call, stream::Waiter};

/// What a poll that is held rests on.
pub(super) struct HeldRights {
    ends_at: Option<SystemTime>,
    receiver: Arc<PollReceiver>,
    /// Through which the server ends the poll.
    _attachment: Attachment,
}

impl HeldRights {
    /// Those of a caller; none where they cannot end.
    pub(super) fn of(call: &Call<'_>, waiter: &Arc<Waiter>) -> Option<Box<Self>> {
        if !call.caller.rights_can_end() {
            return None;
        }
        let (space, origin) = (call.space(), &call.caller.origin);
        let receiver = Arc::new(PollReceiver {
            connection: ConnectionId::next(space.hub().node()),
            client: call.caller.client().cloned(),
            waiter: waiter.clone(),
            has_ended: AtomicBool::new(false),
        });
        let now = SystemTime::now();
        let ends = origin.identity.ends().filter(|end| *end > now);
        Some(Box::new(Self {
            ends_at: ends.min(),
            _attachment: space.attach(origin.clone(), receiver.clone()),
            receiver,
        }))
    }

    /// How long they last, where that is known.
    pub(super) fn left(&self) -> Option<Duration> {
        let end = self.ends_at?;
        Some(end.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// True when nothing may be delivered any more.
    pub(super) fn have_ended(&self) -> bool {
        self.receiver.has_ended.load(Ordering::Acquire)
            || self.ends_at.is_some_and(|end| end <= SystemTime::now())
    }
}

/// What the server ends. Nothing is delivered to it: polls read streams.
struct PollReceiver {
    connection: ConnectionId,
    client: Option<ClientId>,
    waiter: Arc<Waiter>,
    has_ended: AtomicBool,
}

impl Receiver for PollReceiver {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        self.client.clone()
    }

    fn deliver(&self, _: &mut Fanout<'_>) {}

    fn end(&self, _: &EndReason) {
        self.has_ended.store(true, Ordering::Release);
        self.waiter.wake();
    }
}
