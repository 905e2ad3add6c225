//! One connection of a protocol over TCP: read, hand over, flush.

use std::{
    io,
    ops::ControlFlow,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    delivery::{Outbox, OutboxOptions},
    framing::Framing,
    net::{Socket, with_read_buffer},
    runtime::Runtime,
    transport::Link,
    turn::{self, Turn},
    wheel::Tick,
};

/// Seconds between two looks at a connection; one that is closing has as many for the peer to close too.
const LOOK_SECS: u64 = 5;

/// How connections of a protocol are served.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// Bounds of the outgoing queue.
    pub outbox: Arc<OutboxOptions>,
    /// What clients are sent last when the server stops; empty for nothing, and `None` where the app closes them then.
    pub go_away: Option<Bytes>,
}

/// One connection of an app. Calls come one after another.
#[async_trait]
pub trait StreamHandler: Send {
    /// Bytes came, cut anywhere. The next ones are not read before this returns; a `Break` ends the
    /// connection. A loop over what is in them [gives way](Turn::give_way).
    async fn on_bytes(&mut self, bytes: Bytes, turn: &mut Turn) -> ControlFlow<()>;

    /// The connection ended; called once, last.
    async fn on_close(&mut self);
}

/// Serves a connection until it ends. What the bytes of one read publish leaves in one write per
/// subscriber.
pub fn serve_stream<H: StreamHandler>(
    runtime: Arc<Runtime>,
    socket: Socket,
    read_ahead: Bytes,
    options: StreamOptions,
    open: impl FnOnce(Link) -> H,
) -> impl Future<Output = ()> + Send {
    let socket = Arc::new(socket);
    let stall_secs = options.outbox.stall.as_secs();
    let outbox = Outbox::new(socket.clone(), options.outbox);
    let link = Link::socket(outbox.clone(), Framing::Raw, runtime.flusher().clone());
    let connection = Arc::new(TcpConnection {
        socket,
        outbox,
        link: link.clone(),
        go_away: options.go_away,
        stall_secs,
        closing: AtomicU64::new(0),
    });
    let weak: Weak<TcpConnection> = Arc::downgrade(&connection);
    runtime.wheel().add(weak, LOOK_SECS);
    let mut handler = open(link);
    // What was needed to make these is not in the future, which lives as long as the connection.
    async move {
        pump(&connection, &runtime, &mut handler, read_ahead).await;
        handler.on_close().await;
        drop(handler);
        if connection.outbox.is_closing() {
            // The wheel ends a wait that is too long.
            connection.socket.drain().await;
        }
        connection.socket.shutdown();
    }
}

async fn pump<H: StreamHandler>(
    connection: &TcpConnection,
    runtime: &Runtime,
    handler: &mut H,
    read_ahead: Bytes,
) {
    let mut turn = Turn::begin();
    if !read_ahead.is_empty() && handler.on_bytes(read_ahead, &mut turn).await.is_break() {
        return;
    }
    loop {
        if !turn.wait(connection.readable()).await {
            return;
        }
        match connection.read() {
            Ok(bytes) if bytes.is_empty() => return,
            Ok(bytes) => {
                if handler.on_bytes(bytes, &mut turn).await.is_break() {
                    return;
                }
                // The batch is complete; the flusher's task would get to it only after others.
                runtime.flusher().flush_now();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        turn.give_way().await;
    }
}

struct TcpConnection {
    socket: Arc<Socket>,
    outbox: Arc<Outbox>,
    link: Link,
    go_away: Option<Bytes>,
    /// Seconds that a slow peer has to take what waits when the connection closes.
    stall_secs: u64,
    /// When it was first seen closing; 0 where it was not.
    closing: AtomicU64,
}

impl TcpConnection {
    /// Waits until there is something to read, or nothing is sent any more; false then.
    async fn readable(&self) -> bool {
        tokio::select! {
            readable = self.socket.readable() => readable.is_ok(),
            () = self.outbox.closing() => false,
        }
    }

    fn read(&self) -> io::Result<Bytes> {
        with_read_buffer(|buffer| {
            let count = self.socket.try_read(turn::share(buffer))?;
            Ok(Bytes::copy_from_slice(&buffer[..count]))
        })
    }
}

impl Tick for TcpConnection {
    fn tick(&self, now: u64) -> Option<u64> {
        if !self.outbox.is_closing() {
            return Some(LOOK_SECS);
        }
        let patience_secs = match self.outbox.queued_bytes() {
            0 => LOOK_SECS,
            _ => self.stall_secs.max(LOOK_SECS),
        };
        match self.closing.load(Ordering::Relaxed) {
            // It may have begun just now: the last packet is still to be written, and read.
            0 => self.closing.store(now.max(1), Ordering::Relaxed),
            since if now.saturating_sub(since) >= patience_secs => {
                self.socket.shutdown();
                return None;
            }
            _ => {}
        }
        Some(LOOK_SECS)
    }

    fn stop(&self) {
        if let Some(last) = &self.go_away {
            self.link.close_with(last.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        Counters, Limits,
        delivery::{Flush, Flusher},
    };

    #[tokio::test]
    async fn a_connection_that_begins_to_close_has_time_for_its_last_words() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, peer) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let socket = Arc::new(Socket::new(accepted.unwrap().0));
        let (limits, counters) = (Limits::default(), Counters::default());
        let options = OutboxOptions::new(&limits, &counters, "test", Bytes::new());
        let stall_secs = options.stall.as_secs();
        let outbox = Outbox::new(socket.clone(), Arc::new(options));
        let connection = TcpConnection {
            link: Link::socket(outbox.clone(), Framing::Raw, Flusher::new(1)),
            socket,
            outbox: outbox.clone(),
            go_away: Some(Bytes::new()),
            stall_secs,
            closing: AtomicU64::new(0),
        };
        assert_eq!(connection.tick(5), Some(LOOK_SECS));
        let _ = outbox.close(Bytes::from_static(b"bye"));
        // The wheel looks before anybody has written it.
        assert_eq!(connection.tick(10), Some(LOOK_SECS));
        outbox.flush();
        let (mut peer, mut read) = (peer.unwrap(), Vec::new());
        peer.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"bye");
        assert_eq!(connection.tick(15), None, "long enough");
    }
}
