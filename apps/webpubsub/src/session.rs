//! The session of one socket of a connection.

use std::sync::Arc;

use async_trait::async_trait;
use polywire_core::{
    Channel, Draft, Refusal, RefusalKind,
    delivery::{Link, Message},
    space::{self, Attachment},
    transport::{CloseReason, Ending, SessionHandler},
};

use crate::{
    broker::Broker,
    connection::Connection,
    delivery_meta::DeliveryMeta,
    event::{Event, EventFailure},
    frame::{
        Action, DataType, Failure, Frame, NO_STREAMS, Request, ServerFrame, not_invoked,
        stream_closed,
    },
    names::BAD_GROUP,
    notices::Notice,
    protocol::{Protocol, SendTo},
    rights::Right,
};

/// What is refused: the client must begin anew.
const NOT_RECOVERABLE: CloseReason =
    CloseReason::new(1008, "The connection cannot be recovered; connect anew");
const RIGHTS_ENDED: CloseReason = CloseReason::new(1008, "Your rights have ended");
const BAD_FRAME: CloseReason = CloseReason::new(1003, "The message is not a valid frame");
const NO_HANDLER: CloseReason =
    CloseReason::new(1011, "Nobody handles the messages of this client");

/// Codes of a close by which a client says that it is done; 1005 stands for none. With others it says that it failed, and
/// comes back.
const DONE: [u16; 3] = [1000, 1001, 1005];

/// A socket that is refused after it was opened, as recoveries are.
pub(crate) struct Refused(pub(crate) Link);

#[async_trait]
impl SessionHandler for Refused {
    async fn on_open(&mut self) {
        self.0.close(&NOT_RECOVERABLE);
    }

    async fn on_message(&mut self, _: Message) {}
}

/// One socket of a connection.
pub(crate) struct Session {
    pub(crate) broker: Arc<Broker>,
    pub(crate) connection: Arc<Connection>,
    /// The number of this socket among those of its connection.
    pub(crate) socket: u64,
    /// The way to the client, and groups to join at first; `None` for a connection that goes on.
    pub(crate) beginning: Option<(Link, Vec<String>)>,
}

#[async_trait]
impl SessionHandler for Session {
    async fn on_open(&mut self) {
        let Some((link, groups)) = self.beginning.take() else {
            return;
        };
        let (broker, connection) = (&self.broker, &self.connection);
        broker.hubs.open(&connection.hub).await;
        let mut attachment = broker
            .space
            .attach(connection.origin.clone(), connection.clone());
        // The user is present in its groups, also while a connection waits for its client.
        if let Some(user) = connection.origin.client.clone() {
            attachment.appear(user, None, Channel::is_place);
        }
        *connection.attachment.lock().await = Some(attachment);
        for group in &groups {
            broker.local.join(connection, group).await;
        }
        // Whoever hears that it is connected is in its groups.
        broker.local.index.insert(connection);
        connection.open(link, broker.buffer);
        self.socket = connection.socket();
        if broker.find(&connection.hub, &connection.id).is_none() {
            // It was closed before there was anything to close.
            return connection.end(None, &CloseReason::new(1000, ""));
        }
        let attachment = connection.attachment.lock().await;
        let has_ended = attachment.as_ref().is_none_or(Attachment::has_ended);
        drop(attachment);
        if has_ended {
            // So did its rights, meanwhile.
            connection.end(Some(&RIGHTS_ENDED.reason), &RIGHTS_ENDED);
            return broker.local.ended(connection, &RIGHTS_ENDED.reason).await;
        }
        broker
            .local
            .notices
            .tell(connection, Notice::Connected)
            .await;
    }

    async fn on_message(&mut self, message: Message) {
        if self.connection.is_taken_over(self.socket) {
            return;
        }
        let dialect = match &self.connection.protocol {
            Protocol::Spoken { dialect, .. } => *dialect,
            Protocol::Simple { send_to, .. } => {
                return self.simple(message, send_to.clone()).await;
            }
        };
        match Frame::parse(dialect, &message) {
            Ok(Frame::Request(request)) => self.request(request).await,
            Ok(Frame::SequenceAck(id)) => self.connection.acknowledged(id),
            Ok(Frame::Ping) => self.connection.say(ServerFrame::Pong),
            Ok(Frame::Stream { id, ack_id }) => {
                if let Some(ack_id) = ack_id {
                    let failure = Failure::new("BadRequest", NO_STREAMS);
                    self.connection.answer(ack_id, &Err(failure));
                }
                self.connection.send(&stream_closed(&id));
            }
            Ok(Frame::Invoke(id)) => self.connection.send(&not_invoked(&id)),
            Ok(Frame::Refused {
                ack_id: Some(id),
                why,
            }) => {
                let failure = Failure::new("BadRequest", why);
                self.connection.answer(id, &Err(failure));
            }
            Ok(Frame::Refused { ack_id: None, .. }) => self.broker.unanswered.frames.add(),
            Err(wrong) => {
                self.connection.end(Some(&wrong), &BAD_FRAME);
                self.broker.local.ended(&self.connection, &wrong).await;
            }
        }
    }

    async fn on_close(&mut self, ending: Ending) {
        let (broker, connection) = (&self.broker, &self.connection);
        if connection.protocol.is_reliable() {
            if connection.is_taken_over(self.socket) {
                return;
            }
            let may_return = match ending {
                Ending::Lost => true,
                Ending::Closed(code) => !DONE.contains(&code),
            };
            if may_return && connection.lost(self.socket) {
                return broker
                    .transfers
                    .wait_for_client(connection.clone(), self.socket);
            }
            // Whoever comes back to it is told that it is over.
            connection.end(None, &CloseReason::new(1000, ""));
        }
        broker.local.ended(connection, "The client has left").await;
    }
}

impl Session {
    async fn request(&self, request: Request) {
        let Request { ack_id, action } = request;
        let is_done = ack_id.is_some_and(|id| self.connection.acks.lock().contains(id));
        let is_event = matches!(action, Action::Event { .. });
        let outcome = if is_done {
            let message = "This request was done before.";
            Err(Failure::new("Duplicate", message))
        } else {
            self.execute(action).await
        };
        let Some(id) = ack_id else {
            if is_event && outcome.is_err() {
                self.broker.unanswered.events.add();
            }
            return;
        };
        if outcome.is_ok() {
            // One that failed may be repeated under its id.
            self.connection.acks.lock().insert(id);
        }
        self.connection.answer(id, &outcome);
    }

    async fn execute(&self, action: Action) -> Result<(), Failure> {
        let connection = &self.connection;
        let channel = |group: &str| {
            let bad = || Failure::new("BadRequest", BAD_GROUP);
            let channel = self.broker.channel(&connection.hub, group);
            channel.ok_or_else(bad)
        };
        match action {
            Action::Join(group) => {
                let channel = channel(&group)?;
                let joined = self
                    .broker
                    .local
                    .subscribe(connection, &group, channel)
                    .await;
                joined.map_err(|refusal| failure(refusal, Right::JoinLeave))
            }
            Action::Leave(group) => {
                let channel = channel(&group)?;
                let leave = space::Action::Subscribe(&channel);
                let may = self.broker.space.authorize(&connection.origin, leave);
                may.map_err(|refusal| failure(refusal, Right::JoinLeave))?;
                self.broker.local.leave(connection, &group).await;
                Ok(())
            }
            Action::Send {
                group,
                payload,
                data_type,
                no_echo,
            } => {
                let mut draft = Draft::new(channel(&group)?, payload)
                    .publisher(connection.origin.client.clone());
                if data_type == DataType::Protobuf {
                    let meta = DeliveryMeta {
                        is_protobuf: true,
                        ..DeliveryMeta::default()
                    };
                    draft.properties = meta.write();
                }
                if no_echo {
                    draft = draft.except(connection.connection);
                }
                let sent = self.broker.space.publish(&connection.origin, draft).await;
                sent.map(|_| ())
                    .map_err(|refusal| failure(refusal, Right::Send))
            }
            Action::Event {
                name,
                payload,
                data_type,
            } => {
                let event = Event::new(name, payload, data_type == DataType::Json);
                self.event(event).await.map_err(|error| {
                    let name = match error.status {
                        404 => "InvocationFailed",
                        _ => "InternalServerError",
                    };
                    Failure::new(name, error.message)
                })
            }
        }
    }

    async fn event(&self, event: Event) -> Result<(), EventFailure> {
        let Some(handler) = self.broker.handlers.of(&self.connection.hub) else {
            let message = "There is no handler for the events of this hub.".into();
            let status = 404;
            return Err(EventFailure { status, message });
        };
        let connection = &self.connection;
        let turn = connection.turn.lock().await;
        let reply = handler.event(&connection.described(), event).await?;
        if reply.state.is_some() {
            let before = std::mem::replace(&mut *connection.state.lock(), reply.state.clone());
            if connection.is_recorded() && before != reply.state {
                self.broker.records.write(connection).await;
            }
        }
        drop(turn);
        if let Some(payload) = reply.payload {
            connection.send_from_server(&payload);
        }
        Ok(())
    }

    /// A frame of a client without a subprotocol.
    async fn simple(&self, message: Message, send_to: Option<SendTo>) {
        use polywire_core::Payload;
        let (payload, data_type) = match message {
            Message::Text(text) => (Payload::text(text), DataType::Text),
            Message::Binary(bytes) => (Payload::Binary(bytes), DataType::Binary),
        };
        let done = match send_to {
            Some(SendTo { group, no_echo }) => {
                let send = Action::Send {
                    group,
                    payload,
                    data_type,
                    no_echo,
                };
                self.execute(send).await.map_err(|failure| failure.message)
            }
            None => {
                let event = Event::new("message".into(), payload, false);
                self.event(event).await.map_err(|failure| failure.message)
            }
        };
        if let Err(wrong) = done {
            tracing::debug!(connection = self.connection.id, wrong, "closed a client");
            self.connection.end(None, &NO_HANDLER);
        }
    }
}

/// What a client is told of a refusal; `right` is what it takes.
fn failure(refusal: Refusal, right: Right) -> Failure {
    let name = match refusal.kind {
        RefusalKind::Forbidden => {
            let role = right.role();
            let message = format!("{} It takes the role {role}.", refusal.message);
            return Failure::forbidden(message);
        }
        RefusalKind::Unavailable => "InternalServerError",
        _ => "BadRequest",
    };
    Failure::new(name, refusal.message)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use polywire_core::{AppRunner, ConnectionId, Identity, Origin, testkit};

    use super::*;
    use crate::{
        broker::NewBroker,
        connection::NewConnection,
        event::{self, EventHandler, Reply},
        keys::Keys,
        names::NAME,
        replay_buffer::BufferLimits,
    };

    /// Counts events, and fails those that are called so.
    #[derive(Default)]
    struct Counter(Arc<AtomicUsize>);

    #[async_trait]
    impl EventHandler for Counter {
        async fn event(&self, _: &event::Connection, event: Event) -> Result<Reply, EventFailure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            if event.name == "fails" {
                return Err(EventFailure {
                    status: 500,
                    message: "No.".into(),
                });
            }
            Ok(Reply::default())
        }
    }

    #[tokio::test]
    async fn a_request_is_done_once_on_whatever_socket_it_is_repeated() {
        let server = AppRunner::builder(testkit::LocalBackend::default())
            .authentication(testkit::AllowAll)
            .listen(([127, 0, 0, 1], 0).into())
            .build()
            .await
            .unwrap();
        let counter = Counter::default();
        let count = counter.0.clone();
        let handler: Arc<dyn EventHandler> = Arc::new(counter);
        let broker = Broker::new(NewBroker {
            space: server.space().clone(),
            keys: Keys::new(None, None),
            default_hub: "default".into(),
            handlers: [("default".to_owned(), handler)].into(),
            buffer: BufferLimits {
                messages_max: 10,
                bytes_max: 10_000,
            },
            recovery: Duration::from_secs(1),
            anonymous: Default::default(),
        });
        let hub = broker.hub("default").unwrap();
        let connection = Connection::new(NewConnection {
            id: "C".into(),
            formats: broker.hubs.formats(&hub),
            hub,
            user: None,
            protocol: Protocol::named("json.reliable.webpubsub.azure.v1").unwrap(),
            connection: ConnectionId::next(broker.space.hub().node()),
            reconnection_token: String::new(),
            origin: Origin::new(NAME, Identity::default()),
            rights: Arc::default(),
            state: None,
            ack_delay: None,
            hold: None,
            groups_kept: Arc::downgrade(&broker.local) as _,
        });
        let session = || Session {
            broker: broker.clone(),
            connection: connection.clone(),
            socket: 0,
            beginning: None,
        };
        let event = |name: &str, id: u64| {
            let frame = format!(
                r#"{{"type":"event","event":"{name}","ackId":{id},"dataType":"text","data":"x"}}"#
            );
            Message::Text(frame.into())
        };
        let (mut one, mut other) = (session(), session());
        one.on_message(event("e", 1)).await;
        one.on_message(event("e", 1)).await;
        other.on_message(event("e", 1)).await;
        assert_eq!(count.load(Ordering::SeqCst), 1);
        other.on_message(event("e", 2)).await;
        assert_eq!(count.load(Ordering::SeqCst), 2);
        // What failed was not done, and may be repeated under its id.
        one.on_message(event("fails", 3)).await;
        one.on_message(event("fails", 3)).await;
        assert_eq!(count.load(Ordering::SeqCst), 4);
    }
}
