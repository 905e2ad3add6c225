//! The will of a client: published when it is lost (MQTT 5.0 section 3.1.2.5).

use polywire_core::{Channel, Draft, Payload};

use super::{context::SessionContext, state::Session};
use crate::{
    codec::{
        connect::Will,
        message_properties::{clearing_if_empty, with_properties},
    },
    emitter_mode::detect::TopicMode,
};

impl Session {
    /// Publishes the will, if there is one.
    pub(crate) async fn publish_will(&mut self, context: &SessionContext) {
        let Some(will) = self.will.take() else {
            return;
        };
        let published = match &mut self.mode {
            TopicMode::Emitter(emitter) => emitter.publish_will(will, &mut self.attachment).await,
            TopicMode::Plain | TopicMode::Undecided(_) => {
                self.publish_plain_will(will, context).await
            }
        };
        if !published {
            tracing::debug!(client = %self.id, "a will was not published");
        }
    }

    async fn publish_plain_will(&self, will: Will, context: &SessionContext) -> bool {
        let Ok(topic) = Channel::new(&will.topic) else {
            return false;
        };
        let mut properties = will.properties.expires_in(will.expiry_secs);
        properties.client_id = self.subscriber.carried_client_id().map(Into::into);
        let draft = Draft::new(topic, Payload::untyped(will.payload))
            .publisher(self.subscriber.publisher().id().clone());
        let draft = with_properties(draft, &properties, will.expiry_secs);
        let broker = &context.broker;
        if properties.retain {
            let draft = clearing_if_empty(draft);
            let published = broker.publish_retained(&self.attachment, draft);
            return published.await.is_ok();
        }
        self.attachment.publish(draft).await.is_ok()
    }
}
