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
        let wild = match &publication.target {
            Target::Channel(channel) => self.patterns.receivers(channel, unmatched),
            Target::Client(_) => None,
        };
        let mut deliveries = 0;
        self.flusher.collect(|dirty| {
            let mut fanout = Fanout::new(publication, self.flusher, dirty);
            let mut deliver = |receiver: &Arc<dyn Receiver>| {
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

/// What clients say to each other.
fn is_message(publication: &Publication) -> bool {
    matches!(publication.kind, Kind::Message | Kind::Signal) && !publication.target.is_reserved()
}
