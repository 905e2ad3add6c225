//! One WebSocket connection.

use std::{
    cell::RefCell,
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    Decoder, HandshakeError, Incoming, close_frame, handshake::take_socket, negotiate, ping_frame,
    pong_frame, text_frame, upgrade,
};
use crate::{
    delivery::{Link, Message, Outbox, OutboxOptions, Pushed},
    runner::Runtime,
    transport::{
        CloseReason, Endpoint, Framing, Handshake, SessionHandler, Socket, Tick,
        http::{Request, Response, response},
        sockjs,
    },
};

/// Bytes that one read takes at most. The buffer belongs to the thread: an idle connection has none.
const READ_BYTES: usize = 64 << 10;

/// Seconds that a peer has to answer a ping, or a close.
const ANSWER_SECS: u64 = 10;

/// Seconds between two looks at a connection.
const LOOK_SECS: u64 = 5;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// How an endpoint speaks WebSocket.
#[derive(Debug, Clone)]
pub struct WebSocketOptions {
    /// The subprotocols that are spoken, empty for none.
    pub subprotocols: Vec<&'static str>,
    /// [`Framing::WebSocket`] or [`Framing::SockJsWebSocket`].
    pub framing: Framing,
    /// Bytes of one message.
    pub message_bytes_max: usize,
    /// Seconds between heartbeats.
    pub heartbeat_secs: u64,
    /// Bounds of the outgoing queue.
    pub outbox: Arc<OutboxOptions>,
    /// What clients are told when the server stops.
    pub go_away: CloseReason,
}

impl WebSocketOptions {
    /// Plain WebSocket with the limits of the runtime.
    pub fn new(runtime: &Runtime, framing: Framing) -> Self {
        let limits = runtime.limits();
        Self {
            subprotocols: Vec::new(),
            framing,
            message_bytes_max: limits.message_bytes_max,
            heartbeat_secs: 25,
            outbox: Arc::new(OutboxOptions {
                bytes_max: limits.outbound_bytes_max,
                stall: limits.outbound_stall(),
                farewell: framing.close(&CloseReason::SLOW_CONSUMER),
            }),
            go_away: CloseReason::GO_AWAY,
        }
    }
}

/// Answers a WebSocket handshake and serves the connection from then on.
///
/// # Errors
/// When the request is not a handshake that this endpoint takes.
pub async fn serve(
    runtime: &Arc<Runtime>,
    request: &Request,
    app: &'static str,
    endpoint: &Arc<dyn Endpoint>,
    options: &Arc<WebSocketOptions>,
) -> Result<Response, HandshakeError> {
    let subprotocol = negotiate(&request.headers, &options.subprotocols)?;
    let (answer, on_upgrade) = upgrade(request, subprotocol)?;
    let handshake = Handshake {
        credentials: request.credentials(app),
        subprotocol: subprotocol.map(str::to_owned),
    };
    let identity = match endpoint.accept(&handshake).await {
        Ok(identity) => identity,
        Err(refusal) => {
            let mut answer = response(refusal.status, refusal.body);
            if let Ok(value) = refusal.content_type.parse() {
                answer
                    .headers_mut()
                    .insert(http::header::CONTENT_TYPE, value);
            }
            return Ok(answer);
        }
    };
    let (runtime, endpoint, options) = (runtime.clone(), endpoint.clone(), options.clone());
    runtime.clone().spawn(async move {
        // The wait for the 101 to be written ends with the connection, so it needs no bound.
        let Ok(upgraded) = on_upgrade.await else {
            return;
        };
        let Some((socket, read_ahead)) = take_socket(upgraded) else {
            return tracing::error!("a WebSocket came over a connection of an unknown kind");
        };
        let connection = Connection::new(&runtime, socket, options);
        let link = Link::socket(
            connection.outbox.clone(),
            connection.options.framing,
            runtime.flusher().clone(),
        );
        let handler = endpoint.open(link, &handshake, identity);
        drop((endpoint, handshake));
        // In a task of its own: this one's future holds the whole handshake.
        runtime.clone().spawn(run(connection, handler, read_ahead));
    });
    Ok(answer)
}

struct Connection {
    socket: Arc<Socket>,
    outbox: Arc<Outbox>,
    options: Arc<WebSocketOptions>,
    runtime: Arc<Runtime>,
    /// When bytes last came from the peer, in seconds of the wheel.
    heard: AtomicU64,
    /// When the last heartbeat was sent.
    beat: AtomicU64,
    /// When the connection was first seen closing; 0 before.
    closing: AtomicU64,
}

impl Connection {
    fn new(runtime: &Arc<Runtime>, socket: Socket, options: Arc<WebSocketOptions>) -> Arc<Self> {
        let socket = Arc::new(socket);
        let now = runtime.wheel().now();
        let connection = Arc::new(Self {
            outbox: Outbox::new(socket.clone(), options.outbox.clone()),
            socket,
            options,
            runtime: runtime.clone(),
            heard: AtomicU64::new(now),
            beat: AtomicU64::new(now),
            closing: AtomicU64::new(0),
        });
        let weak: Weak<Self> = Arc::downgrade(&connection);
        runtime.wheel().add(weak, LOOK_SECS);
        connection
    }

    fn send(&self, frame: Bytes) {
        self.flush_if_needed(self.outbox.push(frame));
    }

    fn close(&self, last: Bytes) {
        self.flush_if_needed(self.outbox.close(last));
    }

    fn flush_if_needed(&self, pushed: Pushed) {
        if pushed == Pushed::NeedsFlush {
            self.runtime.flusher().submit_one(self.outbox.clone());
        }
    }

    /// Reads once and decodes what came.
    fn read(&self, decoder: &mut Decoder, incoming: &mut Vec<Incoming>) -> io::Result<usize> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let count = self.socket.try_read(buffer)?;
            self.heard
                .store(self.runtime.wheel().now(), Ordering::Relaxed);
            self.decode(decoder, &buffer[..count], incoming);
            Ok(count)
        })
    }

    fn decode(&self, decoder: &mut Decoder, mut bytes: &[u8], incoming: &mut Vec<Incoming>) {
        loop {
            match decoder.decode(&mut bytes) {
                Ok(Some(found)) => incoming.push(found),
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(peer = ?self.socket.peer(), %error, "closed a WebSocket");
                    incoming.push(Incoming::Close(error.close_reason()));
                    return;
                }
            }
        }
    }
}

impl Tick for Connection {
    fn tick(&self, now: u64) -> Option<u64> {
        if self.outbox.is_closing() {
            let since = self.closing.load(Ordering::Relaxed);
            if since == 0 {
                self.closing.store(now, Ordering::Relaxed);
            } else if now - since >= ANSWER_SECS {
                self.socket.shutdown();
                return None;
            }
            return Some(LOOK_SECS);
        }
        let heard = self.heard.load(Ordering::Relaxed);
        let beat = self.beat.load(Ordering::Relaxed);
        if beat > heard && now - beat >= ANSWER_SECS {
            self.close(self.options.framing.close(&CloseReason::NO_HEARTBEAT));
        } else if now - beat >= self.options.heartbeat_secs {
            self.beat.store(now, Ordering::Relaxed);
            if self.options.framing == Framing::SockJsWebSocket {
                self.send(text_frame(sockjs::HEARTBEAT.as_bytes()));
            }
            self.send(ping_frame());
        }
        Some(LOOK_SECS.min(self.options.heartbeat_secs))
    }

    fn stop(&self) {
        self.close(self.options.framing.close(&self.options.go_away));
    }
}

async fn run(connection: Arc<Connection>, mut handler: Box<dyn SessionHandler>, read_ahead: Bytes) {
    if connection.options.framing == Framing::SockJsWebSocket {
        connection.send(text_frame(sockjs::OPEN.as_bytes()));
    }
    handler.on_open().await;
    let mut decoder = Decoder::new(connection.options.message_bytes_max);
    let mut incoming = Vec::new();
    connection.decode(&mut decoder, &read_ahead, &mut incoming);
    drop(read_ahead);
    loop {
        for item in incoming.drain(..) {
            match item {
                Incoming::Message(message) => {
                    if take(&connection, &mut *handler, message).await.is_break() {
                        break;
                    }
                }
                Incoming::Ping(payload) => connection.send(pong_frame(&payload)),
                Incoming::Pong => {}
                Incoming::Close(reason) => {
                    // Section 5.5.1: the answer repeats the code.
                    connection.close(close_frame(&CloseReason {
                        reason: "".into(),
                        ..reason
                    }));
                    break;
                }
            }
        }
        incoming = Vec::new();
        if connection.outbox.is_closing() {
            break;
        }
        if connection.socket.readable().await.is_err() {
            break;
        }
        match connection.read(&mut decoder, &mut incoming) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    drop(decoder);
    handler.on_close().await;
    drop(handler);
    // Nothing more may be queued; where the client did not close in order, there is nobody to tell.
    connection.close(Bytes::new());
    drain(&connection).await;
}

/// Hands a message to the app, as the framing reads it.
async fn take(
    connection: &Connection,
    handler: &mut dyn SessionHandler,
    message: Message,
) -> std::ops::ControlFlow<()> {
    if connection.options.framing != Framing::SockJsWebSocket {
        handler.on_message(message).await;
        return std::ops::ControlFlow::Continue(());
    }
    match sockjs::incoming(message.as_bytes()) {
        Ok(messages) => {
            for text in messages {
                handler.on_message(Message::Text(text)).await;
            }
            std::ops::ControlFlow::Continue(())
        }
        Err(_) => {
            // SockJS: broken framing ends the connection at once.
            connection.close(Bytes::new());
            std::ops::ControlFlow::Break(())
        }
    }
}

/// Reads until the peer has closed too: a socket closed with unread bytes would take back what was sent
/// last. The wheel ends a wait that is too long.
async fn drain(connection: &Connection) {
    loop {
        if connection.socket.readable().await.is_err() {
            return;
        }
        let read = READ_BUFFER.with_borrow_mut(|buffer| connection.socket.try_read(buffer));
        match read {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
