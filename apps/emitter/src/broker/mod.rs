//! The broker, which all sessions share: retained messages, shared subscriptions, `$SYS` topics, counters.

pub(crate) mod context;
pub(crate) mod counters;
pub(crate) mod refused_filters;
pub(crate) mod retained;
pub(crate) mod shared_subscriptions;
pub(crate) mod sys_topics;
