//! Subscriber rules: what holds for the subscribers of all sessions alike.

use rmqtt_codec::types::QoS;

/// What holds for all subscribers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubscriberRules {
    /// Bytes that the subscriptions of one may take.
    pub(crate) subscription_bytes_max: usize,
    /// What kept messages of other protocols count as.
    pub(crate) kept_qos: QoS,
}
