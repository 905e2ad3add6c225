//! Connections of clients, which may outlive their sockets.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use polywire_core::{
    Channel, ClientId, ConnectionId, DrainHold, Interest, JsonText, NodeId, Origin, Payload,
    Timetoken,
    delivery::{DelayLine, Encoder, EndReason, Fanout, Link, Message, Receiver},
    space::Attachment,
    transport::CloseReason,
};
use tokio::sync::Notify;

use crate::{
    ack_ids::AckIds,
    delivery_meta::DeliveryMeta,
    encoder::{self, Formats},
    event,
    filter::Subject,
    frame::{Failure, ServerFrame},
    names::HubName,
    protocol::Protocol,
    recipients::Audience,
    replay_buffer::{BufferLimits, Delivered, KeptMessage, ReplayBuffer, ReplayState},
    rights::Rights,
};

/// A connection, which may outlive its socket where its protocol is reliable.
pub(crate) struct Connection {
    pub(crate) id: String,
    pub(crate) hub: HubName,
    pub(crate) user: Option<String>,
    pub(crate) protocol: Protocol,
    pub(crate) connection: ConnectionId,
    pub(crate) reconnection_token: String,
    pub(crate) origin: Origin,
    pub(crate) rights: Arc<Mutex<Rights>>,
    pub(crate) acks: Mutex<AckIds>,
    pub(crate) groups: Mutex<BTreeSet<String>>,
    /// Its place in the channel space; `None` before it opened and after it ended. Joining takes waiting, so the
    /// lock is one that waits: only requests of this connection and about it meet there.
    pub(crate) attachment: tokio::sync::Mutex<Option<Attachment>>,
    /// What the code behind the hub keeps with it.
    pub(crate) state: Mutex<Option<String>>,
    /// Held by the event that the code behind the hub is told of; further ones wait in line.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    /// Its client loses answers that come too fast: they go this way.
    ack_delay: Option<Arc<DelayLine>>,
    /// Told when it ends while its client is away: too much waits for it, or its rights have ended.
    pub(crate) ends: Notify,
    /// Other nodes know of it.
    is_recorded: AtomicBool,
    /// Where it is going, if it is.
    pub(crate) moving: Mutex<Option<Move>>,
    /// A stop waits until it has ended, or another node has it.
    hold: Mutex<Option<DrainHold>>,
    groups_kept: Weak<dyn Groups>,
    formats: Arc<Formats>,
    wire: Wire,
}

/// A connection that another node is taking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) to: NodeId,
    pub(crate) since: Instant,
}

/// Where it is kept who is in which group.
pub(crate) trait Groups: Send + Sync {
    /// Notes that a connection is in a group.
    fn joined(&self, connection: &Connection, group: &str);

    /// Notes that a connection is not in a group any more.
    fn left(&self, connection: &Connection, group: &str);
}

/// The way to the client.
enum Wire {
    Plain(Plain),
    Reliable(Mutex<Option<ReplayBuffer>>),
}

/// The way to a client that is told what comes, and nothing again.
#[derive(Default)]
struct Plain {
    link: OnceLock<Link>,
    /// Held while the first frame is handed over.
    opening: Mutex<()>,
}

impl Plain {
    /// Opens the way, which the first frame goes before anything else does.
    fn open(&self, link: Link, greet: impl FnOnce(&Link)) {
        let opening = self.opening.lock();
        greet(&link);
        // It is opened once.
        let _ = self.link.set(link);
        drop(opening);
    }

    /// The way, where it is open. What is sent to a client that knows of its connection must not be missed, so
    /// whoever comes while it is being opened takes its turn behind that.
    fn link(&self) -> Option<&Link> {
        if self.link.get().is_none() {
            drop(self.opening.lock());
        }
        self.link.get()
    }
}

/// What makes a connection.
pub(crate) struct NewConnection {
    pub(crate) id: String,
    pub(crate) hub: HubName,
    pub(crate) user: Option<String>,
    pub(crate) protocol: Protocol,
    pub(crate) connection: ConnectionId,
    pub(crate) reconnection_token: String,
    pub(crate) origin: Origin,
    pub(crate) rights: Arc<Mutex<Rights>>,
    pub(crate) state: Option<String>,
    pub(crate) ack_delay: Option<Arc<DelayLine>>,
    pub(crate) hold: Option<DrainHold>,
    pub(crate) groups_kept: Weak<dyn Groups>,
    pub(crate) formats: Arc<Formats>,
}

impl Connection {
    pub(crate) fn new(new: NewConnection) -> Arc<Self> {
        let wire = if new.protocol.is_reliable() {
            Wire::Reliable(Mutex::new(None))
        } else {
            Wire::Plain(Plain::default())
        };
        Arc::new(Self {
            id: new.id,
            hub: new.hub,
            user: new.user,
            protocol: new.protocol,
            connection: new.connection,
            reconnection_token: new.reconnection_token,
            origin: new.origin,
            rights: new.rights,
            acks: Mutex::default(),
            groups: Mutex::default(),
            attachment: tokio::sync::Mutex::new(None),
            state: Mutex::new(new.state),
            turn: Arc::default(),
            ack_delay: new.ack_delay,
            is_recorded: AtomicBool::new(false),
            moving: Mutex::default(),
            hold: Mutex::new(new.hold),
            ends: Notify::new(),
            groups_kept: new.groups_kept,
            formats: new.formats,
            wire,
        })
    }

    /// Opens the way to the client; the first frame goes out.
    pub(crate) fn open(&self, link: Link, limits: BufferLimits) {
        let hello = self.hello();
        let greet = |link: &Link| {
            if let Some(hello) = &hello {
                link.send(hello);
            }
        };
        match (&self.wire, self.protocol.dialect()) {
            (Wire::Reliable(buffer), Some(dialect)) => {
                let mut buffer = buffer.lock();
                greet(&link);
                *buffer = Some(ReplayBuffer::new(link, dialect, limits));
            }
            (Wire::Plain(plain), _) => plain.open(link, greet),
            // Simple clients are not reliable.
            (Wire::Reliable(_), None) => {}
        }
    }

    /// Begins to wait for what another node has kept of it.
    pub(crate) fn arrive(&self, limits: BufferLimits) {
        if let (Wire::Reliable(buffer), Some(dialect)) = (&self.wire, self.protocol.dialect()) {
            *buffer.lock() = Some(ReplayBuffer::arriving(dialect, limits));
        }
    }

    /// Goes on with what the other node has kept; false when it has ended.
    pub(crate) fn complete(&self, state: ReplayState) -> bool {
        self.with_buffer(|buffer| buffer.complete(state)) == Some(Delivered::Kept)
    }

    /// Gives up all that is kept of it for another node; `None` where there is nothing to give.
    pub(crate) fn hand_over(&self) -> Option<ReplayState> {
        self.with_buffer(ReplayBuffer::hand_over)?
    }

    /// Its client has gone elsewhere. The number of the socket that is missed now; `None` where none was there.
    pub(crate) fn detach(&self) -> Option<u64> {
        self.with_buffer(ReplayBuffer::detach)?
    }

    /// True while it waits for what another node has kept of it.
    pub(crate) fn is_arriving(&self) -> bool {
        self.with_buffer(|buffer| buffer.is_arriving()) == Some(true)
    }

    fn with_buffer<T>(&self, act: impl FnOnce(&mut ReplayBuffer) -> T) -> Option<T> {
        match &self.wire {
            Wire::Plain(_) => None,
            Wire::Reliable(buffer) => buffer.lock().as_mut().map(act),
        }
    }

    /// A stop need not wait for it any more.
    pub(crate) fn let_go(&self) {
        drop(self.hold.lock().take());
    }

    /// True for what its client showed when it connected.
    pub(crate) fn is_of(&self, token: &str, subprotocol: Option<&str>) -> bool {
        let is_same: bool =
            subtle::ConstantTimeEq::ct_eq(self.reconnection_token.as_bytes(), token.as_bytes())
                .into();
        is_same && self.protocol.subprotocol() == subprotocol
    }

    /// True for a client that loses answers which come too fast.
    pub(crate) fn delays_answers(&self) -> bool {
        self.ack_delay.is_some()
    }

    fn hello(&self) -> Option<Message> {
        let hello = ServerFrame::Connected {
            connection: &self.id,
            user: self.user.as_deref(),
            reconnection_token: if self.protocol.is_reliable() {
                Some(&self.reconnection_token)
            } else {
                None
            },
        };
        Some(hello.write(self.protocol.dialect()?))
    }

    /// Goes on with another socket; its number. `None` when the connection has ended, or cannot do that.
    pub(crate) fn recover(&self, link: Link) -> Option<u64> {
        let (Wire::Reliable(buffer), Some(hello)) = (&self.wire, self.hello()) else {
            return None;
        };
        // Whoever was taking it does not get it. First this: its client may go elsewhere as soon as it hears from here.
        *self.moving.lock() = None;
        buffer.lock().as_mut()?.recover(link, &hello)
    }

    /// The number of the socket in use.
    pub(crate) fn socket(&self) -> u64 {
        match &self.wire {
            Wire::Plain(_) => 0,
            Wire::Reliable(buffer) => buffer.lock().as_ref().map_or(0, ReplayBuffer::socket),
        }
    }

    /// Its socket was lost. True when the client may come back.
    pub(crate) fn lost(&self, socket: u64) -> bool {
        match &self.wire {
            Wire::Plain(_) => false,
            Wire::Reliable(buffer) => buffer.lock().as_mut().is_some_and(|b| b.lost(socket)),
        }
    }

    /// True when another socket has taken the place of this one.
    pub(crate) fn is_taken_over(&self, socket: u64) -> bool {
        self.socket() != socket
    }

    /// True when the client has not come back since.
    pub(crate) fn is_lost_since(&self, socket: u64) -> bool {
        match &self.wire {
            Wire::Plain(_) => true,
            Wire::Reliable(buffer) => {
                let buffer = buffer.lock();
                buffer.as_ref().is_none_or(|b| b.is_lost_since(socket))
            }
        }
    }

    pub(crate) fn acknowledged(&self, id: u64) {
        if let Wire::Reliable(buffer) = &self.wire
            && let Some(buffer) = buffer.lock().as_mut()
        {
            buffer.acknowledged(id);
        }
    }

    /// Sends what is for this connection and has no sequence id.
    pub(crate) fn send(&self, message: &Message) {
        self.over_link(|link| link.send(message));
    }

    /// Answers a request.
    pub(crate) fn answer(&self, id: u64, outcome: &Result<(), Failure>) {
        let Some(dialect) = self.protocol.dialect() else {
            return;
        };
        let ack = ServerFrame::Ack(id, outcome).write(dialect);
        self.over_link(|link| match &self.ack_delay {
            Some(delay) => link.send_delayed(&ack, delay),
            None => link.send(&ack),
        });
    }

    /// Sends over the socket, where there is one.
    fn over_link(&self, send: impl FnOnce(&Link)) {
        match &self.wire {
            Wire::Plain(plain) => plain.link().map(send),
            Wire::Reliable(buffer) => {
                let buffer = buffer.lock();
                buffer.as_ref().and_then(ReplayBuffer::link).map(send)
            }
        };
    }

    /// Says something that only clients with a subprotocol of the service understand.
    pub(crate) fn say(&self, frame: ServerFrame<'_>) {
        if let Some(dialect) = self.protocol.dialect() {
            self.send(&frame.write(dialect));
        }
    }

    /// Sends a message of the server that is for this connection only.
    pub(crate) fn send_from_server(&self, payload: &Payload) {
        match (&self.wire, self.protocol.dialect()) {
            (Wire::Reliable(buffer), Some(dialect)) => {
                let body = Arc::new(encoder::server_body(dialect, payload));
                let message = KeptMessage {
                    body,
                    at: Timetoken::default(),
                };
                self.deliver_reliably(buffer, message, None, None);
            }
            (_, Some(dialect)) => self.send(&encoder::server_message(dialect, payload)),
            (_, None) => self.send(&encoder::plain(payload)),
        }
    }

    /// Ends the socket, and with it the connection: its client is told why.
    pub(crate) fn end(&self, message: Option<&str>, reason: &CloseReason) {
        if let Some(message) = message {
            self.say(ServerFrame::Disconnected(message));
        }
        match &self.wire {
            Wire::Plain(plain) => {
                if let Some(link) = plain.link() {
                    link.close(reason);
                }
            }
            Wire::Reliable(buffer) => {
                if let Some(buffer) = buffer.lock().as_mut() {
                    buffer.end(reason);
                }
            }
        }
    }

    /// Ends a connection that is promised everything, and does not get it any more.
    pub(crate) fn end_reliable(&self, why: &'static str) {
        if let Wire::Reliable(_) = &self.wire {
            self.end(Some(why), &CloseReason::new(1008, why));
            self.ends.notify_one();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        match &self.wire {
            Wire::Plain(_) => false,
            Wire::Reliable(buffer) => buffer.lock().as_ref().is_none_or(ReplayBuffer::has_ended),
        }
    }

    /// Shows what is being fanned out, in this connection's wire format.
    pub(crate) fn show(&self, fanout: &mut Fanout<'_>, formats: &Formats) {
        match &self.wire {
            Wire::Plain(plain) => {
                let encoder = match self.protocol.dialect() {
                    Some(dialect) => formats.spoken(dialect, false),
                    None => &formats.simple,
                };
                if let Some(link) = plain.link() {
                    link.deliver(fanout, encoder);
                }
            }
            Wire::Reliable(buffer) => {
                let Some(dialect) = self.protocol.dialect() else {
                    return;
                };
                let encoder = formats.spoken(dialect, true);
                let Some(body) = fanout.kept(encoder) else {
                    return;
                };
                let publication = fanout.publication();
                let (ttl, at) = (publication.retention.ttl, publication.position().timetoken);
                let message = KeptMessage { body, at };
                self.deliver_reliably(buffer, message, ttl, Some((fanout, encoder)));
            }
        }
    }

    fn deliver_reliably(
        &self,
        buffer: &Mutex<Option<ReplayBuffer>>,
        message: KeptMessage,
        ttl: Option<Duration>,
        fanout: Option<(&mut Fanout<'_>, &Arc<dyn Encoder>)>,
    ) {
        if let Some(buffer) = buffer.lock().as_mut()
            && buffer.deliver(message, ttl, fanout) == Delivered::Overflown
        {
            self.ends.notify_one();
        }
    }

    /// Other nodes know of it from now on.
    pub(crate) fn set_recorded(&self) {
        self.is_recorded.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.is_recorded.load(Ordering::Relaxed)
    }

    /// As the code behind the hub knows it.
    pub(crate) fn described(&self) -> event::Connection {
        event::Connection::new(
            self.id.clone(),
            self.hub.as_str().to_owned(),
            self.user.clone(),
            self.protocol.subprotocol().map(str::to_owned),
            self.state.lock().clone(),
        )
    }

    /// The group of its hub that a channel is; `None` for what cannot be one.
    fn group_of(&self, channel: &Channel) -> Option<String> {
        let group = self.hub.group(channel.as_str()).into_owned();
        let is_one = self.hub.channel(&group).is_some_and(|of| of == *channel);
        is_one.then_some(group)
    }

    /// True when a send with this audience is for this connection.
    pub(crate) fn is_among(&self, audience: &Audience) -> bool {
        !audience.excluded.contains(&self.id)
            && audience.filter.as_ref().is_none_or(|filter| {
                let groups = self.groups.lock();
                filter.matches(&Subject {
                    connection: &self.id,
                    user: self.user.as_deref(),
                    protocol: self.protocol.subprotocol(),
                    groups: &groups,
                })
            })
    }
}

impl Receiver for Connection {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        self.origin.client.clone()
    }

    /// The protocol has no words for it.
    fn takes_presence(&self) -> bool {
        false
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let meta: Option<&JsonText> = fanout.publication().properties.as_ref();
        if let Some(meta) = meta.and_then(DeliveryMeta::read)
            && !self.is_among(&meta.audience)
        {
            return;
        }
        self.show(fanout, &self.formats);
    }

    /// A reliable client is promised everything: it has to begin anew, which its SDK does.
    fn gap(&self, _: &Interest) {
        self.end_reliable("Messages were lost");
    }

    fn end(&self, why: &EndReason) {
        let CloseReason { reason, .. } = why.close_reason();
        let close = CloseReason {
            code: 1008,
            reason: reason.clone(),
        };
        self.end(Some(&reason), &close);
        // Where no socket is left to say so.
        self.ends.notify_one();
    }

    fn subscribed(&self, channel: &Channel) {
        if let (Some(groups), Some(group)) = (self.groups_kept.upgrade(), self.group_of(channel)) {
            groups.joined(self, &group);
        }
    }

    fn unsubscribed(&self, channel: &Channel) {
        if let (Some(groups), Some(group)) = (self.groups_kept.upgrade(), self.group_of(channel)) {
            groups.left(self, &group);
        }
    }
}
