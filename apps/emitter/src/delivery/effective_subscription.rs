//! The effective subscription: how a client gets a publication, by all of its subscriptions that match.

use std::num::NonZeroU32;

use polywire_core::Publication;
use rmqtt_codec::types::QoS;

use crate::codec::{
    filter::SubscriptionOptions,
    message_properties::{self, MessageProperties},
};

/// How a client gets a publication, by all of its subscriptions that it was found by.
pub(super) struct EffectiveSubscription {
    pub(super) qos: QoS,
    pub(super) ids: Vec<NonZeroU32>,
    pub(super) retain: bool,
    /// Nothing but the QoS, and with it the packet id, differs from what others get.
    pub(super) is_plain: bool,
}

impl EffectiveSubscription {
    pub(super) fn of(
        options: SubscriptionOptions,
        publication: &Publication,
        kept_qos: QoS,
    ) -> Self {
        let is_retained =
            || MessageProperties::of(publication).is_some_and(|properties| properties.retain);
        let retain = options.as_published && is_retained();
        Self {
            qos: options
                .qos
                .less_value(message_properties::qos(publication, kept_qos)),
            ids: options.id.into_iter().collect(),
            retain,
            is_plain: !retain && options.id.is_none(),
        }
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        self.ids.extend(other.ids);
        Self {
            qos: self.qos.max(other.qos),
            ids: self.ids,
            retain: self.retain || other.retain,
            is_plain: self.is_plain && other.is_plain,
        }
    }
}
