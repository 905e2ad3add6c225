//! The session of one client on `/connect`.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use polywire_core::{
    Channel, ClientId, ConnectionId, Identity, Kind, Origin, PresenceAction, PresenceEvent,
    Publication, Refusal, Space, Target,
    delivery::{Encoder, EndReason, Fanout, Link, Message, Receiver},
    space::{Action, Attachment, CloseOnGap, Subscribed},
    transport::{Ending, Endpoint, Handshake, HttpRefusal, SessionHandler},
};

use crate::{
    authentication::{self, Door},
    command::{self, Command},
    encoder::{self, ALL},
    error_budget::ErrorBudget,
    reply,
};

/// The endpoint at `/connect`.
pub(crate) struct Connect {
    pub(crate) space: Arc<Space>,
    pub(crate) encoder: Arc<dyn Encoder>,
    pub(crate) authenticate: bool,
    pub(crate) name_bytes_max: usize,
    pub(crate) close_on_gap: CloseOnGap,
}

#[async_trait]
impl Endpoint for Connect {
    async fn accept(&self, handshake: &Handshake) -> Result<Arc<Identity>, HttpRefusal> {
        let door = if self.authenticate {
            Door::Closed
        } else {
            Door::Open
        };
        authentication::authenticate(&self.space, &handshake.credentials, door)
            .await
            .map_err(|(status, message)| HttpRefusal {
                status,
                content_type: "application/json; charset=UTF-8",
                body: reply::error_body(status, message),
            })
    }

    fn open(
        &self,
        link: Link,
        handshake: &Handshake,
        identity: Arc<Identity>,
    ) -> Box<dyn SessionHandler> {
        let subscriber = Arc::new(Subscriber {
            connection: ConnectionId::next(self.space.hub().node()),
            link,
            encoder: self.encoder.clone(),
            space: self.space.clone(),
            close_on_gap: self.close_on_gap,
            client: OnceLock::new(),
        });
        let origin = Origin::new("seth", identity).peer(handshake.credentials.peer);
        Box::new(Session {
            attachment: Some(self.space.attach(origin, subscriber.clone())),
            subscriber,
            errors: ErrorBudget::new(),
            name_bytes_max: self.name_bytes_max,
        })
    }
}

/// The client, as the hub sees it.
struct Subscriber {
    connection: ConnectionId,
    link: Link,
    encoder: Arc<dyn Encoder>,
    space: Arc<Space>,
    close_on_gap: CloseOnGap,
    client: OnceLock<ClientId>,
}

impl Receiver for Subscriber {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        self.client.get().cloned()
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        if !self.is_about_itself(fanout.publication()) {
            self.link.deliver(fanout, &self.encoder);
        }
    }

    /// SockJS has no words for it but those with which it closes.
    fn gap(&self, target: &Target) {
        if let Some(why) = self.close_on_gap.reason(&self.space, target) {
            self.link.end(&why);
        }
    }

    fn end(&self, why: &EndReason) {
        self.link.end(why);
    }
}

impl Subscriber {
    /// A client does not see itself come; that it has subscribed is answered to the connection that did.
    fn is_about_itself(&self, publication: &Publication) -> bool {
        match &publication.kind {
            Kind::Presence(event) => {
                event.client.is_some() && event.client.as_ref() == self.client.get()
            }
            _ => false,
        }
    }
}

struct Session {
    subscriber: Arc<Subscriber>,
    /// Taken when the session ends.
    attachment: Option<Attachment>,
    errors: ErrorBudget,
    name_bytes_max: usize,
}

#[async_trait]
impl SessionHandler for Session {
    async fn on_message(&mut self, message: Message) {
        let done = match &message {
            Message::Text(text) => match Command::parse(text, self.name_bytes_max) {
                Ok(command) => self
                    .execute(command)
                    .await
                    .map_err(|refusal| refusal.message),
                Err(problem) => Err(problem),
            },
            Message::Binary(_) => Err("Could not dispatch a binary message".to_owned()),
        };
        if let Err(problem) = done {
            tracing::debug!(connection = %self.subscriber.connection, problem);
            if self.errors.take() {
                self.subscriber.link.send(&encoder::error(&problem));
            }
        }
    }

    async fn on_close(&mut self, _: Ending) {
        if let Some(attachment) = self.attachment.take() {
            attachment.disconnect().await;
        }
    }
}

impl Session {
    async fn execute(&mut self, command: Command) -> Result<(), Refusal> {
        let Some(attachment) = &mut self.attachment else {
            return Ok(());
        };
        let space = attachment.space().clone();
        let client = self.subscriber.client.get().cloned();
        match command {
            Command::Connect(client) => {
                if let Some(known) = self.subscriber.client.get() {
                    tracing::debug!(%known, "ignored a second connect");
                    return Ok(());
                }
                let Some(client) = attachment.validate_connect(client).await? else {
                    return Ok(());
                };
                let all = Channel::new(ALL).map_err(|e| Refusal::invalid(e.to_string()))?;
                // Nobody else sets it: one session handles one message at a time.
                let _ = self.subscriber.client.set(client.clone());
                attachment.connect(client).await;
                // Who comes and goes there is shown to those, and said by those, who may see it.
                let origin = attachment.origin();
                let may_be_shown = space.may(origin, Action::SeePresence(&all))
                    && space.may(origin, Action::Subscribe(&all));
                if may_be_shown {
                    attachment.join_by_connecting(all).await;
                    space.presence_told().await;
                }
            }
            Command::Subscribe(channel) => {
                let joined = attachment.subscribe(channel.clone()).await?;
                match client {
                    _ if joined == Subscribed::Dropped => {}
                    Some(client) => {
                        let answer = encoder::subscribed(&client, &channel);
                        self.subscriber.link.send(&answer);
                        space.presence_told().await;
                    }
                    None => announce_nameless(&space, &channel, PresenceAction::Join).await,
                }
            }
            Command::Unsubscribe(channel) => {
                if attachment.unsubscribe(channel.clone()).await? {
                    match client {
                        Some(_) => space.presence_told().await,
                        None => announce_nameless(&space, &channel, PresenceAction::Leave).await,
                    }
                }
            }
            Command::Custom(command) => {
                let unknown = Refusal::invalid(command::wrong_type(&command.kind));
                if !attachment.validate_custom(command).await? {
                    return Err(unknown);
                }
            }
        }
        Ok(())
    }
}

/// Tells the members of a connection without an id, which is no member that others could know.
async fn announce_nameless(space: &Space, channel: &Channel, action: PresenceAction) {
    let event = PresenceEvent {
        action,
        client: None,
        occupancy: space.presence().occupancy(channel),
        state: None,
    };
    space.announce(channel, event).await;
}
