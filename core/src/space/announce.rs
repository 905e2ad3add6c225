//! Announcements of presence: the members of a channel are told who comes and who goes.

use super::Space;
use crate::{
    channel::Channel,
    identity::{ClientId, ConnectionId},
    presence::MemberOwner,
    publication::{Draft, JsonText, Kind, Payload, PresenceAction, PresenceEvent, Retention},
};

impl Space {
    /// A connection of a client comes onto a channel: the client is present, with this state if there is one, and the
    /// members are told. The connection [exits](Self::exit) again.
    pub async fn enter(
        &self,
        channel: &Channel,
        client: &ClientId,
        state: Option<JsonText>,
        owner: &MemberOwner,
    ) {
        self.presence.join(channel, client, owner);
        if state.is_some() {
            self.presence.set_state(channel, client, state);
        }
        self.tell(PresenceAction::Join, channel, client).await;
    }

    /// A connection of a client leaves a channel that it [entered](Self::enter), and the members are told, with the
    /// state that the client had.
    pub async fn exit(&self, channel: &Channel, client: &ClientId) {
        let state = self.presence.state(channel, client).flatten();
        self.presence.leave(channel, client);
        let mut event = self.presence_event(PresenceAction::Leave, channel, client);
        // Also when it is not present any more.
        event.state = state;
        self.announce(channel, event, None).await;
    }

    /// Tells the members of a channel of a change in who is there, once the other nodes know it too: who hears
    /// of it and asks any node who is there is not contradicted. Where other nodes cannot be reached, members on
    /// this node are told.
    pub async fn announce(
        &self,
        channel: &Channel,
        event: PresenceEvent,
        except: Option<ConnectionId>,
    ) {
        self.presence.told().await;
        self.announce_at_once(channel, event, except).await;
    }

    pub(crate) async fn announce_at_once(
        &self,
        channel: &Channel,
        event: PresenceEvent,
        except: Option<ConnectionId>,
    ) {
        let payload = Payload::text("");
        let draft = Draft::new(channel.clone(), payload)
            .publisher(event.client.clone())
            .kind(Kind::Presence(event))
            .except(except)
            .retention(Retention::NONE);
        if let Err(error) = self.backend.publish(draft).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "announced on this node only"
            );
        }
    }

    pub(super) async fn tell(&self, action: PresenceAction, channel: &Channel, client: &ClientId) {
        let event = self.presence_event(action, channel, client);
        self.announce(channel, event, None).await;
    }

    /// What the members are told of a client on a channel: how many are there now, and what it says about itself as
    /// long as it is present.
    pub fn presence_event(
        &self,
        action: PresenceAction,
        channel: &Channel,
        client: &ClientId,
    ) -> PresenceEvent {
        PresenceEvent {
            action,
            client: Some(client.clone()),
            occupancy: self.presence.occupancy(channel),
            state: self.presence.state(channel, client).flatten(),
        }
    }
}
