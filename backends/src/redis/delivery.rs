//! What a node does with publications that come from Redis, in the order of each channel.

use polywire_core::{LocalNode, LogLimiter, Publication, Target};

use super::{envelope::PublishId, gap_repair::Deliver, publishing::Publishing};

/// Delivers on this node, and tells publishers of this node that theirs have come.
pub(super) struct Delivery<'a> {
    node: &'a LocalNode,
    publishing: &'a mut Publishing,
    gaps: &'a mut LogLimiter,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(
        node: &'a LocalNode,
        publishing: &'a mut Publishing,
        gaps: &'a mut LogLimiter,
    ) -> Self {
        Self {
            node,
            publishing,
            gaps,
        }
    }
}

impl Deliver for Delivery<'_> {
    fn deliver(&mut self, id: PublishId, publication: &Publication) {
        let place = publication.position();
        self.node.clock().observe(place.timetoken);
        if id.node != self.node.id() {
            self.node.deliver(publication);
        } else if self.publishing.came_back(id) {
            self.node.deliver(publication);
            self.publishing.delivered(id, place);
        }
    }

    fn gap(&mut self, target: &Target) {
        if let Some(times) = self.gaps.allow() {
            tracing::warn!(
                ?target,
                times,
                "publications are missing here and Redis has forgotten them, or may have; subscribers are told"
            );
        }
        self.node.gap(target);
    }
}

/// Delivers from memory what Redis has placed and announced, while the connection is lost.
impl Deliver for &LocalNode {
    fn deliver(&mut self, _: PublishId, publication: &Publication) {
        LocalNode::deliver(self, publication);
    }

    fn gap(&mut self, target: &Target) {
        LocalNode::gap(self, target);
    }
}
