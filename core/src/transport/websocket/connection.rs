//! One WebSocket connection: its socket, its outgoing queue, its heartbeat.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{Decoder, Incoming, ProtocolError, WebSocketOptions, ping_frame, text_frame};
use crate::{
    delivery::{Outbox, Pushed},
    framing::{CloseReason, Framing, sockjs},
    net::{Socket, with_read_buffer},
    runtime::Runtime,
    turn,
    wheel::Tick,
};

/// Seconds that a peer has to answer a ping, or a close.
const ANSWER_SECS: u64 = 10;

/// Seconds between two looks at a connection.
const LOOK_SECS: u64 = 5;

/// One WebSocket connection: its socket, its outgoing queue, its heartbeat.
pub(super) struct WebSocketConnection {
    socket: Arc<Socket>,
    outbox: Arc<Outbox>,
    options: Arc<WebSocketOptions>,
    runtime: Arc<Runtime>,
    /// When bytes last came from the peer, in seconds of the wheel.
    heard: AtomicU64,
    /// When the last heartbeat was sent.
    beat: AtomicU64,
    /// When the first ping was sent that nothing was heard after.
    asked: AtomicU64,
    /// When the message began that is arriving; 0 when none is.
    begun: AtomicU64,
    /// When the connection was first seen closing; 0 before.
    closing: AtomicU64,
    /// The app is at work, and nothing is read: that the peer is not heard is no fault of its own.
    busy: AtomicBool,
}

impl WebSocketConnection {
    pub(super) fn new(
        runtime: &Arc<Runtime>,
        socket: Socket,
        options: Arc<WebSocketOptions>,
    ) -> Arc<Self> {
        let socket = Arc::new(socket);
        let now = runtime.wheel().now();
        let connection = Arc::new(Self {
            outbox: Outbox::new(socket.clone(), options.outbox.clone()),
            socket,
            options,
            runtime: runtime.clone(),
            heard: AtomicU64::new(now),
            beat: AtomicU64::new(now),
            asked: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            closing: AtomicU64::new(0),
            busy: AtomicBool::new(false),
        });
        let weak: Weak<Self> = Arc::downgrade(&connection);
        runtime.wheel().add(weak, connection.look_secs());
        connection
    }

    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    pub(super) fn options(&self) -> &WebSocketOptions {
        &self.options
    }

    pub(super) fn send(&self, frame: Bytes) {
        self.flush_if_needed(self.outbox.push(frame));
    }

    pub(super) fn close(&self, last: Bytes) {
        self.flush_if_needed(self.outbox.close(last));
    }

    fn flush_if_needed(&self, pushed: Pushed) {
        if pushed == Pushed::NeedsFlush {
            self.runtime.flusher().submit_one(self.outbox.clone());
        }
    }

    /// Says that the app is at work, or that it is done.
    pub(super) fn set_busy(&self, busy: bool) {
        if !busy {
            let now = self.runtime.wheel().now();
            self.heard.store(now, Ordering::Relaxed);
        }
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// Waits until there is something to read, or nothing is sent any more; false then.
    pub(super) async fn readable(&self) -> bool {
        tokio::select! {
            readable = self.socket.readable() => readable.is_ok(),
            () = self.outbox.closing() => false,
        }
    }

    /// Reads once and decodes what came; 0 is the end.
    pub(super) fn read(
        &self,
        decoder: &mut Decoder,
        incoming: &mut Vec<Incoming>,
    ) -> io::Result<usize> {
        with_read_buffer(|buffer| {
            let count = self.socket.try_read(turn::share(buffer))?;
            self.heard
                .store(self.runtime.wheel().now(), Ordering::Relaxed);
            self.decode(decoder, &buffer[..count], incoming);
            Ok(count)
        })
    }

    /// Decodes what came; a protocol error becomes the close that says so.
    pub(super) fn decode(
        &self,
        decoder: &mut Decoder,
        mut bytes: &[u8],
        incoming: &mut Vec<Incoming>,
    ) {
        let now = self.runtime.wheel().now();
        decoder.set_now(now);
        loop {
            match decoder.decode(&mut bytes) {
                Ok(Some(found)) => {
                    if !matches!(found, Incoming::Ping(_) | Incoming::Pong) {
                        self.begun.store(0, Ordering::Relaxed);
                    }
                    incoming.push(found);
                }
                Ok(None) => return self.waits_for_rest(decoder, now),
                Err(error) => {
                    if error == ProtocolError::TooManyIdleFrames {
                        self.options.idle.add();
                    }
                    tracing::debug!(peer = ?self.socket.peer(), %error, "closed a WebSocket");
                    incoming.push(Incoming::Close(error.close_reason()));
                    return;
                }
            }
        }
    }

    /// Remembers since when a message is arriving: a byte now and then puts nothing off.
    fn waits_for_rest(&self, decoder: &Decoder, now: u64) {
        if !decoder.is_partial() {
            self.begun.store(0, Ordering::Relaxed);
        } else if self.begun.load(Ordering::Relaxed) == 0 {
            // The wheel's first second is 0.
            self.begun.store(now.max(1), Ordering::Relaxed);
        }
    }

    /// Waits for the peer to close too; the wheel ends a wait that is too long.
    pub(super) async fn drain(&self) {
        self.socket.drain().await;
    }

    fn look_secs(&self) -> u64 {
        LOOK_SECS.min(self.options.heartbeat_secs).max(1)
    }

    /// Seconds that a closing connection is waited for: for the peer's answer once all is written, for
    /// a slow peer to take what waits before.
    fn patience_secs(&self) -> u64 {
        if self.outbox.queued_bytes() == 0 {
            ANSWER_SECS
        } else {
            self.options.outbox.stall.as_secs().max(ANSWER_SECS)
        }
    }
}

impl Tick for WebSocketConnection {
    fn tick(&self, now: u64) -> Option<u64> {
        if self.outbox.is_closing() {
            let since = self.closing.load(Ordering::Relaxed);
            if since == 0 {
                self.closing.store(now, Ordering::Relaxed);
            } else if now - since >= self.patience_secs() {
                self.socket.shutdown();
                return None;
            }
            return Some(self.look_secs());
        }
        let (asked, begun) = (
            self.asked.load(Ordering::Relaxed),
            self.begun.load(Ordering::Relaxed),
        );
        let message_secs = self.runtime.limits().body_secs;
        if begun > 0 && now - begun > message_secs && !self.busy.load(Ordering::Relaxed) {
            self.options.late.add();
            self.close(self.options.framing.close(&CloseReason::LATE_MESSAGE));
            return Some(self.look_secs());
        }
        let is_asked = asked > self.heard.load(Ordering::Relaxed);
        if is_asked && now - asked >= ANSWER_SECS && !self.busy.load(Ordering::Relaxed) {
            self.close(self.options.framing.close(&CloseReason::NO_HEARTBEAT));
        } else if now - self.beat.load(Ordering::Relaxed) >= self.options.heartbeat_secs {
            self.beat.store(now, Ordering::Relaxed);
            if !is_asked {
                self.asked.store(now, Ordering::Relaxed);
            }
            if self.options.framing == Framing::SockJsWebSocket {
                self.send(text_frame(sockjs::HEARTBEAT.as_bytes()));
            }
            self.send(ping_frame());
        }
        Some(self.look_secs())
    }

    fn stop(&self) {
        if let Some(reason) = &self.options.go_away {
            self.close(self.options.framing.close(reason));
        }
    }
}
