//! Context of a session: the broker, and the Emitter protocol.

use std::sync::Arc;

use crate::{broker::context::BrokerContext, emitter_mode::context::EmitterContext};

/// What sessions use.
#[derive(Clone)]
pub(crate) struct SessionContext {
    pub(crate) broker: Arc<BrokerContext>,
    pub(crate) emitter: Arc<EmitterContext>,
}
