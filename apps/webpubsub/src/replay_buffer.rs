//! Replay buffer of a reliable connection: what went out, kept until the client has acknowledged it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use polywire_core::{
    Draw, Held, Timetoken,
    delivery::{Encoder, Fanout, Link, Message},
    transport::CloseReason,
};

use crate::dialect::Dialect;

/// A message without its sequence id: shared by all connections that got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptMessage {
    pub(crate) body: Arc<Bytes>,
    /// When it was published, by which other nodes know it; 0 for what was for this connection alone.
    pub(crate) at: Timetoken,
}

/// A message that has no sequence id yet.
struct ArrivingMessage {
    message: KeptMessage,
    expires: Option<Instant>,
}

/// All that a connection has kept, on its way to another node.
pub(crate) struct ReplayState {
    /// The sequence id of the first message, or of the next one where there is none.
    pub(crate) first: u64,
    pub(crate) kept: VecDeque<KeptMessage>,
    /// When messages expire, by their sequence ids.
    pub(crate) expiring: BTreeMap<u64, Instant>,
    /// The bytes of them, of the memory budget.
    _draw: Draw,
}

impl ReplayState {
    /// Messages that another node has kept, from this sequence id on.
    pub(crate) fn new(first: u64) -> Self {
        Self {
            first,
            kept: VecDeque::new(),
            expiring: BTreeMap::new(),
            _draw: Draw::new(Held::Kept),
        }
    }
}

/// What is kept for a client that was cut off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BufferLimits {
    pub(crate) messages_max: usize,
    pub(crate) bytes_max: usize,
}

/// What a message costs besides its text.
const OVERHEAD: usize = 64;

/// Bytes that are kept without being drawn from the memory budget: what a client that keeps up has not acknowledged.
const LITTLE: usize = 16 << 10;

const OVERFLOWN: CloseReason =
    CloseReason::new(1008, "Too many messages are waiting to be acknowledged");
const TAKEN_OVER: CloseReason = CloseReason::new(1001, "The connection goes on elsewhere");

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// It is kept until it is acknowledged, and sent where a client is there.
    Kept,
    /// It was too much, and the connection has ended.
    Overflown,
    /// The connection had ended before.
    Ended,
}

/// What goes out on a reliable connection. Whoever holds it decides the order: what is replayed and what is new
/// goes one way.
pub(crate) struct ReplayBuffer {
    link: Option<Link>,
    dialect: Dialect,
    /// Counts the sockets that it had.
    socket: u64,
    /// The sequence id of the first that is kept, or of the next message where none is.
    first: u64,
    /// Messages whose sequence ids are dense.
    kept: VecDeque<KeptMessage>,
    /// While what another node has kept is on its way: what was published since this node knows of the connection.
    arriving: Option<Vec<ArrivingMessage>>,
    bytes: usize,
    /// Those bytes, of the memory budget.
    draw: Draw,
    /// When messages expire, by their sequence ids. Most never do.
    expiring: BTreeMap<u64, Instant>,
    limits: BufferLimits,
    ended: bool,
}

impl ReplayBuffer {
    pub(crate) fn new(link: Link, dialect: Dialect, limits: BufferLimits) -> Self {
        Self {
            link: Some(link),
            dialect,
            socket: 1,
            first: 1,
            kept: VecDeque::new(),
            arriving: None,
            bytes: 0,
            draw: Draw::new(Held::Kept),
            expiring: BTreeMap::new(),
            limits,
            ended: false,
        }
    }

    /// That of a connection which comes from another node: its client is away, and what is published waits for what was
    /// kept there.
    pub(crate) fn arriving(dialect: Dialect, limits: BufferLimits) -> Self {
        Self {
            link: None,
            dialect,
            socket: 1,
            first: 1,
            kept: VecDeque::new(),
            arriving: Some(Vec::new()),
            bytes: 0,
            draw: Draw::new(Held::Kept),
            expiring: BTreeMap::new(),
            limits,
            ended: false,
        }
    }

    pub(crate) fn is_arriving(&self) -> bool {
        self.arriving.is_some()
    }

    /// Takes what the other node has kept, and then what came meanwhile and is not among it.
    pub(crate) fn complete(&mut self, state: ReplayState) -> Delivered {
        let Some(arriving) = self.arriving.take().filter(|_| !self.ended) else {
            return Delivered::Ended;
        };
        let known: BTreeSet<_> = state.kept.iter().map(|kept| kept.at).collect();
        self.bytes = state.kept.iter().map(cost).sum();
        (self.first, self.kept, self.expiring) = (state.first, state.kept, state.expiring);
        for ArrivingMessage { message, expires } in arriving {
            if message.at == Timetoken::default() || !known.contains(&message.at) {
                self.keep(message, expires);
            }
        }
        self.bounded()
    }

    /// Gives up all that is kept: the connection goes on at another node, and has ended here.
    pub(crate) fn hand_over(&mut self) -> Option<ReplayState> {
        if self.ended || self.arriving.is_some() {
            return None;
        }
        let state = ReplayState {
            first: self.first,
            kept: std::mem::take(&mut self.kept),
            expiring: std::mem::take(&mut self.expiring),
            _draw: std::mem::replace(&mut self.draw, Draw::new(Held::Kept)),
        };
        self.end(&TAKEN_OVER);
        Some(state)
    }

    /// Its client has gone to another node. The number of the socket that it has lost; `None` where it had none.
    pub(crate) fn detach(&mut self) -> Option<u64> {
        let link = self.link.take()?;
        link.close(&TAKEN_OVER);
        // The end of that socket says nothing any more.
        self.socket += 1;
        Some(self.socket)
    }

    /// The number of the socket that it has now.
    pub(crate) fn socket(&self) -> u64 {
        self.socket
    }

    /// The sequence id of the next message.
    fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// The way to the client, if anybody is there: for what has no sequence id.
    pub(crate) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Sends a message, which gets the next sequence id. Where it is being fanned out, `fanout` is with the encoder that
    /// wrote the body.
    pub(crate) fn deliver(
        &mut self,
        message: KeptMessage,
        ttl: Option<Duration>,
        fanout: Option<(&mut Fanout<'_>, &Arc<dyn Encoder>)>,
    ) -> Delivered {
        if self.ended {
            return Delivered::Ended;
        }
        let expires = ttl.map(|ttl| Instant::now() + ttl);
        if let Some(arriving) = &mut self.arriving {
            self.bytes += cost(&message);
            arriving.push(ArrivingMessage { message, expires });
            return self.bounded();
        }
        if let Some(link) = &self.link {
            let (id, numbering) = (self.next(), self.dialect.numbering());
            match fanout {
                Some((fanout, encoder)) => link.deliver_numbered(fanout, encoder, numbering, id),
                None => link.send_numbered(&message.body, numbering, id),
            }
        }
        self.keep(message, expires);
        self.bounded()
    }

    fn keep(&mut self, message: KeptMessage, expires: Option<Instant>) {
        let id = self.next();
        self.bytes += cost(&message);
        self.kept.push_back(message);
        if let Some(expires) = expires {
            self.expiring.insert(id, expires);
        }
    }

    /// Ends the connection where more is kept than may be.
    fn bounded(&mut self) -> Delivered {
        let arriving = self.arriving.as_ref().map_or(0, Vec::len);
        if self.kept.len() + arriving > self.limits.messages_max
            || self.bytes > self.limits.bytes_max
            || !self.draw()
        {
            self.end(&OVERFLOWN);
            return Delivered::Overflown;
        }
        Delivered::Kept
    }

    /// Draws what is kept, unless it is little; false when there is no room for it.
    fn draw(&mut self) -> bool {
        let drawn = if self.bytes <= LITTLE { 0 } else { self.bytes };
        self.draw.resize(drawn.next_multiple_of(LITTLE))
    }

    /// The client has everything up to this id.
    pub(crate) fn acknowledged(&mut self, id: u64) {
        if id < self.first || id >= self.next() {
            return;
        }
        // Not more than are kept.
        let count = (id - self.first + 1) as usize;
        for message in self.kept.drain(..count) {
            self.bytes -= cost(&message);
        }
        self.first = id + 1;
        // Less can always be held.
        let _ = self.draw();
        if !self.expiring.is_empty() {
            self.expiring = self.expiring.split_off(&self.first);
        }
        if self.kept.is_empty() && self.kept.capacity() > 64 {
            self.kept = VecDeque::new();
        }
    }

    /// Goes on with another socket: first `hello`, then what was not acknowledged and has not expired. The number
    /// of the socket; `None` when the connection has ended.
    pub(crate) fn recover(&mut self, link: Link, hello: &Message) -> Option<u64> {
        if self.ended || self.arriving.is_some() {
            return None;
        }
        let now = Instant::now();
        link.send(hello);
        for (id, message) in (self.first..).zip(&self.kept) {
            let expires = self.expiring.get(&id);
            if expires.is_none_or(|expires| *expires > now) {
                link.send_numbered(&message.body, self.dialect.numbering(), id);
            }
        }
        self.socket += 1;
        if let Some(old) = self.link.replace(link) {
            old.close(&TAKEN_OVER);
        }
        Some(self.socket)
    }

    /// The socket of this number was lost. True when it was the one that was in use.
    pub(crate) fn lost(&mut self, socket: u64) -> bool {
        if self.socket != socket {
            return false;
        }
        self.link = None;
        !self.ended
    }

    /// True when nobody has come back since the socket of this number.
    pub(crate) fn is_lost_since(&self, socket: u64) -> bool {
        self.socket == socket && self.link.is_none()
    }

    /// Ends the connection for good.
    pub(crate) fn end(&mut self, reason: &CloseReason) {
        self.ended = true;
        self.kept = VecDeque::new();
        self.arriving = None;
        self.expiring.clear();
        self.bytes = 0;
        self.draw = Draw::new(Held::Kept);
        if let Some(link) = self.link.take() {
            link.close(reason);
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }
}

/// Bytes that a message takes.
fn cost(message: &KeptMessage) -> usize {
    message.body.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use polywire_core::{
        AppRunner, Counters, Limits, Server,
        delivery::{Outbox, OutboxOptions},
        testkit,
        transport::{Framing, Socket},
    };
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    const LIMITS: BufferLimits = BufferLimits {
        messages_max: 4,
        bytes_max: 10_000,
    };

    /// Its tasks write what is sent.
    async fn server() -> Server {
        let server = AppRunner::builder(testkit::LocalBackend::default());
        server
            .authentication(testkit::AllowAll)
            .build()
            .await
            .unwrap()
    }

    async fn client(server: &Server) -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let options = OutboxOptions {
            bytes_max: 1 << 20,
            stall: Duration::from_secs(60),
            ..OutboxOptions::new(
                &Limits::default(),
                &Counters::default(),
                "test",
                Bytes::new(),
            )
        };
        let flusher = server.space().runtime().flusher();
        let socket = Arc::new(Socket::new(accepted.unwrap().0));
        let outbox = Outbox::new(socket, Arc::new(options));
        let link = Link::socket(outbox, Framing::WebSocket, flusher.clone());
        (link, connected.unwrap())
    }

    /// The next frame, which is short: a text, or the code of a close.
    async fn next(client: &mut TcpStream) -> String {
        let mut head = [0; 2];
        client.read_exact(&mut head).await.unwrap();
        let mut text = vec![0; usize::from(head[1])];
        client.read_exact(&mut text).await.unwrap();
        match head[0] & 15 {
            8 => format!("close {}", u16::from_be_bytes([text[0], text[1]])),
            _ => String::from_utf8(text).unwrap(),
        }
    }

    fn send(buffer: &mut ReplayBuffer, text: &str, ttl: Option<Duration>) -> Delivered {
        let message = KeptMessage {
            body: Arc::new(format!("{{{text}").into()),
            at: Timetoken::default(),
        };
        buffer.deliver(message, ttl, None)
    }

    fn numbered(text: &str, id: u64) -> String {
        format!(r#"{{{text},"sequenceId":{id}}}"#)
    }

    #[tokio::test]
    async fn a_new_socket_gets_what_was_not_acknowledged_and_has_not_expired() {
        let server = server().await;
        let ((link, mut old), (next_link, mut new)) =
            (client(&server).await, client(&server).await);
        let mut buffer = ReplayBuffer::new(link, Dialect::Json, LIMITS);
        for text in ["a", "b"] {
            assert_eq!(send(&mut buffer, text, None), Delivered::Kept);
        }
        send(&mut buffer, "short-lived", Some(Duration::ZERO));
        assert_eq!(next(&mut old).await, numbered("a", 1));
        assert_eq!(next(&mut old).await, numbered("b", 2));
        buffer.acknowledged(1);
        // Ids that were never given, or are acknowledged already, say nothing.
        buffer.acknowledged(1);
        buffer.acknowledged(9);
        let hello = Message::Text("hello".into());
        assert_eq!(buffer.recover(next_link, &hello), Some(2));
        send(&mut buffer, "c", None);
        for expected in ["hello".to_owned(), numbered("b", 2), numbered("c", 4)] {
            assert_eq!(next(&mut new).await, expected);
        }
        assert_eq!(next(&mut old).await, numbered("short-lived", 3));
        assert_eq!(next(&mut old).await, "close 1001");
        // The end of the socket that was taken over is no end of the connection.
        assert!(!buffer.lost(1) && !buffer.is_lost_since(1) && buffer.socket() == 2);
        assert!(buffer.lost(2) && buffer.is_lost_since(2));
    }

    #[tokio::test]
    async fn too_much_ends_the_connection_for_good() {
        let server = server().await;
        let ((link, mut old), (next_link, _new)) = (client(&server).await, client(&server).await);
        let mut buffer = ReplayBuffer::new(link, Dialect::Json, LIMITS);
        for id in 1..=4 {
            assert_eq!(send(&mut buffer, "m", None), Delivered::Kept);
            assert_eq!(next(&mut old).await, numbered("m", id));
        }
        assert_eq!(send(&mut buffer, "m", None), Delivered::Overflown);
        assert_eq!(send(&mut buffer, "m", None), Delivered::Ended);
        assert_eq!(next(&mut old).await, numbered("m", 5));
        assert_eq!(next(&mut old).await, "close 1008");
        assert!(buffer.has_ended() && !buffer.lost(1));
        assert_eq!(
            buffer.recover(next_link, &Message::Text("hello".into())),
            None
        );
    }
}
