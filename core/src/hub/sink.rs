//! The fan-out of one publication: to the members of its topic and to wildcard subscribers.

use std::sync::Arc;

use super::{
    members::Members,
    patterns::{Patterns, Unmatched},
    traffic::Traffic,
};
use crate::{
    delivery::{Fanout, Flusher, Receiver},
    publication::{Kind, Publication, Target},
};

/// Where a topic puts what it delivers.
pub(super) struct Sink<'h> {
    pub(super) patterns: &'h Patterns,
    pub(super) flusher: &'h Arc<Flusher>,
    pub(super) traffic: &'h Traffic,
}

impl Sink<'_> {
    /// Delivers to the members of a topic and to matching wildcard subscribers, each connection once.
    pub(super) fn fan_out(
        &self,
        publication: &Publication,
        members: &Members,
        unmatched: &mut Unmatched,
    ) {
        let except = publication.except;
        let is_presence = publication.kind.is_presence();
        // Thousands may be on a channel and come and go, of whom nobody is told: they are not walked.
        let nobody = Members::default();
        let members = if is_presence && members.presence_takers() == 0 {
            &nobody
        } else {
            members
        };
        let wild = match &publication.target {
            Target::Channel(channel) => self.patterns.receivers(channel, unmatched),
            Target::Client(_) => None,
        };
        let mut deliveries = 0;
        self.flusher.collect(|dirty| {
            let mut fanout = Fanout::new(publication, self.flusher, dirty);
            let mut deliver = |receiver: &Arc<dyn Receiver>| {
                if is_presence && !receiver.takes_presence() {
                    return;
                }
                deliveries += 1;
                receiver.deliver(&mut fanout);
            };
            let Some(mut wild) = wild else {
                return members.each(except, deliver);
            };
            members.each(except, |receiver| {
                wild.remove(receiver.connection());
                deliver(receiver);
            });
            wild.each(except, deliver);
        });
        if is_message(publication) {
            self.traffic.add_delivered(deliveries);
        }
    }
}

impl Sink<'_> {
    /// Tells the same receivers that publications are lost, each connection once.
    pub(super) fn gap(&self, target: &Target, members: &Members, unmatched: &mut Unmatched) {
        let channel = target.channel();
        let mut wild = channel.and_then(|channel| self.patterns.receivers(channel, unmatched));
        members.each(None, |receiver| {
            if let Some(wild) = &mut wild {
                wild.remove(receiver.connection());
            }
            receiver.gap(target);
        });
        if let Some(wild) = wild {
            wild.each(None, |receiver| receiver.gap(target));
        }
    }
}

/// What clients say to each other.
fn is_message(publication: &Publication) -> bool {
    matches!(publication.kind, Kind::Message | Kind::Signal) && !publication.target.is_reserved()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{
        Channel, ConnectionId, Draft, Hub, Interest, NodeId, Pattern, Payload, PresenceAction,
        PresenceEvent,
    };

    struct Counts {
        connection: ConnectionId,
        takes_presence: bool,
        given: AtomicUsize,
        /// How often it was looked at.
        asked: AtomicUsize,
    }

    impl Receiver for Counts {
        fn connection(&self) -> ConnectionId {
            self.connection
        }

        fn takes_presence(&self) -> bool {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.takes_presence
        }

        fn deliver(&self, _: &mut Fanout<'_>) {
            self.given.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A channel of many clients costs nothing for each that comes, as long as none of them hears of it.
    #[test]
    fn notices_of_presence_are_for_those_who_take_them() {
        let hub = Hub::new(Flusher::new(1));
        let room = Channel::new("room").unwrap();
        let join = |interest: Interest, takes_presence| {
            let receiver = Arc::new(Counts {
                connection: ConnectionId::next(NodeId(1)),
                takes_presence,
                given: AtomicUsize::new(0),
                asked: AtomicUsize::new(0),
            });
            let number = hub.join(&interest, receiver.clone());
            receiver.asked.store(0, Ordering::Relaxed);
            (receiver, number)
        };
        let draft = |is_presence| {
            let event = PresenceEvent {
                action: PresenceAction::Join,
                client: None,
                occupancy: 1,
                state: None,
            };
            let draft = Draft::new(room.clone(), Payload::text(""));
            match is_presence {
                true => draft.kind(Kind::Presence(event)),
                false => draft,
            }
        };
        let by_name = || Interest::Channel(room.clone());
        let wild = || Interest::Pattern(Pattern::mqtt("#").unwrap());
        let (deaf, _) = join(by_name(), false);
        let (wild_deaf, _) = join(wild(), false);
        let (wild_taker, _) = join(wild(), true);
        let given = |receiver: &Counts| receiver.given.swap(0, Ordering::Relaxed);
        hub.publish_unstored(draft(true));
        assert_eq!(
            [&deaf, &wild_deaf, &wild_taker].map(|r| given(r)),
            [0, 0, 1]
        );
        assert_eq!(deaf.asked.load(Ordering::Relaxed), 0);
        let (taker, number) = join(by_name(), true);
        hub.publish_unstored(draft(true));
        assert_eq!([&deaf, &taker, &wild_taker].map(|r| given(r)), [0, 1, 1]);
        hub.publish_unstored(draft(false));
        assert_eq!([&deaf, &taker, &wild_deaf].map(|r| given(r)), [1, 1, 1]);
        deaf.asked.store(0, Ordering::Relaxed);
        hub.leave(&by_name(), number);
        hub.publish_unstored(draft(true));
        assert_eq!((given(&deaf), deaf.asked.load(Ordering::Relaxed)), (0, 0));
    }
}
