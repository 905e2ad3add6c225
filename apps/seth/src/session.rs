//! The session of one client on `/connect`.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use polywire_core::{
    Channel, ClientId, ConnectionId, Identity, Origin, PresenceAction, PresenceEvent, Refusal,
    Space,
    delivery::{Encoder, EndReason, Fanout, Link, Message, Receiver},
    space::{Action, Attachment, Subscribed},
    transport::{Ending, Endpoint, Handshake, HttpRefusal, SessionHandler},
};

use crate::{
    authentication::{self, Door},
    command::{self, Command},
    encoder,
    error_budget::ErrorBudget,
    reply,
};

/// The channel that every connected client is on.
const ALL: &str = "all";

/// The endpoint at `/connect`.
pub(crate) struct Connect {
    pub(crate) space: Arc<Space>,
    pub(crate) encoder: Arc<dyn Encoder>,
    pub(crate) authenticate: bool,
    pub(crate) name_bytes_max: usize,
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
            client: OnceLock::new(),
        });
        let origin = Origin::new("seth", identity).peer(handshake.credentials.peer);
        Box::new(Session {
            attachment: Some(self.space.attach(origin, subscriber.clone())),
            subscriber,
            errors: ErrorBudget::new(),
            name_bytes_max: self.name_bytes_max,
            is_shown: false,
        })
    }
}

/// The client, as the hub sees it.
struct Subscriber {
    connection: ConnectionId,
    link: Link,
    encoder: Arc<dyn Encoder>,
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
        self.link.deliver(fanout, &self.encoder);
    }

    fn end(&self, why: &EndReason) {
        self.link.end(why);
    }
}

struct Session {
    subscriber: Arc<Subscriber>,
    /// Taken when the session ends.
    attachment: Option<Attachment>,
    errors: ErrorBudget,
    name_bytes_max: usize,
    /// Others are told that it comes and goes.
    is_shown: bool,
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
        let Some(attachment) = self.attachment.take() else {
            return;
        };
        let space = attachment.space().clone();
        let client = self.subscriber.client.get().cloned();
        attachment.disconnect().await;
        if let (Some(client), Ok(all), true) = (client, Channel::new(ALL), self.is_shown) {
            announce(&space, &all, PresenceAction::Disconnect, Some(client), None).await;
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
                // Announced first and joined afterwards, so that a newcomer does not see itself; over
                // several nodes the announcement may come back late, so it is excepted by name too.
                let except = (!attachment.is_on(&all)).then_some(self.subscriber.connection);
                // Who comes and goes there is shown to those, and said by those, who may see it.
                self.is_shown = space.may(attachment.origin(), Action::SeePresence(&all));
                if self.is_shown {
                    let id = Some(client.clone());
                    announce(&space, &all, PresenceAction::Connect, id, except).await;
                }
                // Nobody else sets it: one session handles one message at a time.
                let _ = self.subscriber.client.set(client.clone());
                attachment.connect(client).await;
                if self.is_shown && space.may(attachment.origin(), Action::Subscribe(&all)) {
                    attachment.join(all).await;
                }
            }
            Command::Subscribe(channel) => {
                if attachment.subscribe(channel.clone()).await? != Subscribed::Dropped {
                    announce(&space, &channel, PresenceAction::Join, client, None).await;
                }
            }
            Command::Unsubscribe(channel) => {
                if attachment.unsubscribe(channel.clone()).await? {
                    announce(&space, &channel, PresenceAction::Leave, client, None).await;
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

async fn announce(
    space: &Space,
    channel: &Channel,
    action: PresenceAction,
    client: Option<ClientId>,
    except: Option<ConnectionId>,
) {
    let occupancy = space.presence().occupancy(channel);
    let event = PresenceEvent {
        action,
        client,
        occupancy,
        state: None,
    };
    space.announce(channel, event, except).await;
}
