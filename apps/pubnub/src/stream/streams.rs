//! The streams of a node: one lock around what was published, and a receiver that takes everything in.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use polywire_core::{
    Channel, Clock, ConnectionId, Space, Target, Timetoken,
    delivery::{Fanout, Flush, Receiver},
};

use super::{batch::Batch, bounds::Bounds, entry::Entry, table::StreamTable, waiter::Waiter};
use crate::subscribe_set::SubscribeSet;

/// A time that is over for every clock that is only somewhat wrong: 60 s.
const SKEW: u64 = 600_000_000;

/// What was published, for a while, and who waits for more.
pub(crate) struct Streams {
    connection: ConnectionId,
    space: Weak<Space>,
    this: Weak<Self>,
    table: Mutex<StreamTable>,
}

impl Streams {
    pub(crate) fn new(space: &Arc<Space>, bounds: Bounds) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            connection: ConnectionId::next(space.hub().node()),
            space: Arc::downgrade(space),
            this: this.clone(),
            table: Mutex::new(StreamTable::new(bounds, space.hub().clock().tick().0)),
        })
    }

    /// What was stored up to here may not have arrived, and is to be read from the store.
    pub(crate) fn begin_behind(&self, last: Timetoken) {
        self.table.lock().begin_behind(last.0);
    }

    /// The cursor behind everything that has arrived.
    pub(crate) fn horizon(&self, clock: &Clock) -> u64 {
        match self.table.lock().horizon() {
            // Nothing has arrived: whatever does will be later than that.
            0 => clock.tick().0.saturating_sub(SKEW),
            horizon => horizon,
        }
    }

    /// What came after a cursor. Where there is nothing, `waiter` is woken when something comes.
    pub(crate) fn read(
        &self,
        subscribe_set: &SubscribeSet,
        after: u64,
        waiter: &Arc<Waiter>,
    ) -> Batch {
        self.table
            .lock()
            .read(subscribe_set, after, waiter, Vec::new())
    }

    /// Like [`read`](Self::read), with messages of the store that fill gaps: the oldest, and one more than fit into an
    /// answer if there are so many.
    pub(crate) fn read_with(
        &self,
        subscribe_set: &SubscribeSet,
        after: u64,
        waiter: &Arc<Waiter>,
        backfill: Vec<(Arc<Entry>, usize)>,
    ) -> Batch {
        self.table
            .lock()
            .read(subscribe_set, after, waiter, backfill)
    }

    /// Nobody waits with `waiter` any more.
    pub(crate) fn forget(&self, subscribe_set: &SubscribeSet, waiter: &Waiter) {
        self.table.lock().forget(subscribe_set, waiter);
    }

    /// Wakes everybody who waits: the server stops.
    pub(crate) fn wake_all(&self) {
        self.table.lock().wake_all();
        self.wake();
    }

    /// Tells of comings and goings that were summed up.
    pub(crate) fn end_interval(&self) {
        self.table.lock().end_interval();
        self.wake();
    }

    /// A channel is in a group, or is not any more. By its presence name its presence is.
    pub(crate) fn set_in_group(&self, group: &str, channel: &Channel, is_in: bool) {
        self.table.lock().set_in_group(group, channel, is_in);
        self.wake();
    }

    /// False when these would be too many for a group, or the group one too many.
    pub(crate) fn has_room_in_group(&self, group: &str, channels: &[Channel]) -> bool {
        self.table.lock().has_room_in_group(group, channels)
    }

    /// The channels of a group, by name.
    pub(crate) fn group(&self, group: &str) -> Vec<Channel> {
        self.table.lock().group(group)
    }

    /// All that was put into a group: its channels, and presence names.
    pub(crate) fn group_entries(&self, group: &str) -> Vec<Channel> {
        self.table.lock().group_entries(group)
    }

    /// All groups, by name.
    pub(crate) fn groups(&self) -> Vec<Arc<str>> {
        self.table.lock().group_names()
    }

    fn wake(&self) {
        let woken = self.table.lock().take_woken();
        for waiter in woken {
            waiter.wake();
        }
    }
}

impl Receiver for Streams {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn gap(&self, target: &Target) {
        if let Target::Channel(channel) = target
            && !channel.is_reserved()
        {
            self.table.lock().lose(channel);
        }
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
        let woke = self.table.lock().arrive(channel, publication, late);
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
