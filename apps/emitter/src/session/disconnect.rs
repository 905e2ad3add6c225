//! DISCONNECT: the client leaves, and says whether its will is published, and how long its session lasts.

use rmqtt_codec::v5::DisconnectReasonCode;

use super::{context::SessionContext, state::Session};

impl Session {
    pub(super) fn disconnect(
        &mut self,
        with_will: bool,
        expiry_secs: Option<u32>,
        context: &SessionContext,
    ) -> Result<(), DisconnectReasonCode> {
        if let Some(secs) = expiry_secs {
            if self.expiry_secs == 0 && secs > 0 {
                // It was to end with its connection (MQTT 5.0 section 3.14.2.2.2).
                return Err(DisconnectReasonCode::ProtocolError);
            }
            self.expiry_secs = context.broker.expiry_secs(secs);
        }
        self.will.take_if(|_| !with_will);
        Ok(())
    }
}
