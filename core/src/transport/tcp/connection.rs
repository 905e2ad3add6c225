//! One connection of a protocol over TCP: read, hand over, flush.

use std::{
    io,
    ops::ControlFlow,
    sync::{Arc, Weak},
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

/// Seconds between two looks at a connection that is closing.
const LOOK_SECS: u64 = 5;

/// How connections of a protocol are served.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// Bounds of the outgoing queue.
    pub outbox: Arc<OutboxOptions>,
    /// What clients are sent last when the server stops; empty for nothing.
    pub go_away: Bytes,
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
    let outbox = Outbox::new(socket.clone(), options.outbox);
    let link = Link::socket(outbox.clone(), Framing::Raw, runtime.flusher().clone());
    let connection = Arc::new(TcpConnection {
        socket,
        outbox,
        link: link.clone(),
        go_away: options.go_away,
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
    go_away: Bytes,
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
    fn tick(&self, _: u64) -> Option<u64> {
        if self.outbox.is_closing() {
            self.socket.shutdown();
            return None;
        }
        Some(LOOK_SECS)
    }

    fn stop(&self) {
        self.link.close_with(self.go_away.clone());
    }
}
