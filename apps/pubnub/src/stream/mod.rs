//! What was published, for a while, and who waits for more.
//!
//! # Cursors
//!
//! A client asks for what came after a cursor, over any number of channels at once, and gets a new cursor
//! with the answer. Timetokens alone would not do for that. Publications of different channels get theirs
//! from one clock and arrive here under different locks, some of them only once they are stored: one with
//! the time 10 may arrive after one with the time 11 was handed out, and a client that says "after 11" would
//! never see it.
//!
//! So every publication that arrives gets an **order**, under the one lock of [`Streams`]: its timetoken if
//! that is greater than every order before, which is nearly always so, and a new tick of the clock if it
//! came late. Orders rise in the order of arrival. A cursor is the greatest order that was given (the
//! *horizon*), read under the same lock as the answer's messages; a later arrival has a greater one, however
//! late it is. The answer to a cursor is everything with a greater order, so that nothing is lost and nothing
//! comes twice, on however many connections, and however often an answer is lost on the way and asked for
//! again.
//!
//! The timetoken that a publisher is answered is a cursor too: it resumes behind that message. Where the
//! message came late its order is greater than its timetoken, but its timetoken was given to nobody else,
//! so whoever names exactly that one knows the message, and it is left out.
//!
//! Several nodes agree on orders because all publications come to each of them in the order of their
//! timetokens: the backend that carries them hands out both in one step. None is late, orders are
//! timetokens, and a client may go from node to node with its cursor. That is also why a first cursor is the
//! horizon and not the time of day, which would differ from node to node.

mod arrival;
mod entry;
mod group;
mod intervals;
mod state;
mod waiter;

pub(crate) use self::{
    entry::{Entry, push_payload},
    waiter::Waiter,
};

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use polywire_core::{
    Channel, ClientId, Clock, ConnectionId, Space, Target, Timetoken,
    delivery::{Fanout, Flush, Receiver},
};

use self::state::State;
use crate::names::Subject;

/// Messages that one answer holds at most, and that are kept of each channel.
pub(crate) const MESSAGES_MAX: usize = 100;

/// A time that is over for every clock that is only somewhat wrong: 60 s.
const SKEW: u64 = 600_000_000;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    pub(crate) age_max: Duration,
    /// Members up to which every coming and going is told of by itself.
    pub(crate) announce_max: usize,
}

/// What was published, for a while, and who waits for more.
pub(crate) struct Streams {
    connection: ConnectionId,
    space: Weak<Space>,
    this: Weak<Self>,
    state: Mutex<State>,
}

/// What a read found.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The cursor behind it.
    pub(crate) cursor: u64,
    /// In order: an entry, and by which name of the subject it was found.
    pub(crate) found: Vec<(Arc<Entry>, usize)>,
    /// Where something that came after the cursor is, or may be, not here any more.
    pub(crate) gaps: Vec<Gap>,
}

/// Where something is not here any more.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) place: Place,
    /// The name of the subject that led there.
    pub(crate) index: usize,
}

#[derive(Debug)]
pub(crate) enum Place {
    Channel(Channel),
    /// Some of the channels below this level: which ones is not known here any more either.
    Below(String),
}

impl Streams {
    pub(crate) fn new(space: &Arc<Space>, bounds: Bounds) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            connection: ConnectionId::next(space.hub().node()),
            space: Arc::downgrade(space),
            this: this.clone(),
            state: Mutex::new(State::new(bounds, space.hub().clock().tick().0)),
        })
    }

    /// What was stored up to here may not have arrived, and is to be read from the store.
    pub(crate) fn begin_behind(&self, last: Timetoken) {
        self.state.lock().begin_behind(last.0);
    }

    /// The cursor behind everything that has arrived.
    pub(crate) fn horizon(&self, clock: &Clock) -> u64 {
        match self.state.lock().horizon() {
            // Nothing has arrived: whatever does will be later than that.
            0 => clock.tick().0.saturating_sub(SKEW),
            horizon => horizon,
        }
    }

    /// What came after a cursor. Where there is nothing, `waiter` is woken when something comes.
    pub(crate) fn read(&self, subject: &Subject, after: u64, waiter: &Arc<Waiter>) -> Batch {
        self.state.lock().read(subject, after, waiter, Vec::new())
    }

    /// Like [`read`](Self::read), with messages of the store that fill gaps: the oldest, and one more than fit into an
    /// answer if there are so many.
    pub(crate) fn read_with(
        &self,
        subject: &Subject,
        after: u64,
        waiter: &Arc<Waiter>,
        older: Vec<(Arc<Entry>, usize)>,
    ) -> Batch {
        self.state.lock().read(subject, after, waiter, older)
    }

    /// Nobody waits with `waiter` any more.
    pub(crate) fn forget(&self, subject: &Subject, waiter: &Waiter) {
        self.state.lock().forget(subject, waiter);
    }

    /// Wakes everybody who waits: the server stops.
    pub(crate) fn wake_all(&self) {
        self.state.lock().wake_all();
        self.wake();
    }

    /// Tells of comings and goings that were summed up.
    pub(crate) fn end_interval(&self) {
        self.state.lock().end_interval();
        self.wake();
    }

    /// A channel is in a group, or is not any more.
    pub(crate) fn set_in_group(&self, group: &str, channel: Channel, is_in: bool) {
        self.state.lock().set_in_group(group, channel, is_in);
        self.wake();
    }

    /// False when these would be too many for a group, or the group one too many.
    pub(crate) fn has_room_in_group(&self, group: &str, channels: &[Channel]) -> bool {
        self.state.lock().has_room_in_group(group, channels)
    }

    /// The channels of a group, by name.
    pub(crate) fn group(&self, group: &str) -> Vec<Channel> {
        self.state.lock().group(group)
    }

    /// The groups whose names begin so, by name.
    pub(crate) fn groups(&self) -> Vec<Arc<str>> {
        self.state.lock().group_names()
    }

    fn wake(&self) {
        let woken = self.state.lock().take_woken();
        for waiter in woken {
            waiter.wake();
        }
    }
}

impl Receiver for Streams {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        let Target::Channel(channel) = &publication.target else {
            return;
        };
        if channel.is_reserved() {
            return;
        }
        let late = || {
            let space = self.space.upgrade()?;
            Some(space.hub().clock().tick().0)
        };
        let woke = self.state.lock().arrive(channel, publication, late);
        if woke && let Some(this) = self.this.upgrade() {
            fanout.flush_later(this);
        }
    }
}

impl Flush for Streams {
    /// Wakes together whoever waited for something in the batch.
    fn flush(self: Arc<Self>) {
        self.wake();
    }
}
