//! MQTT over TCP.

use std::{ops::ControlFlow, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use polywire_core::{
    Turn,
    delivery::OutboxOptions,
    transport::{
        Socket,
        tcp::{Recognition, StreamHandler, StreamOptions, TcpProtocol, serve_stream},
    },
};

use super::connection::Connection;
use crate::{sessions::manager::SessionManager, settings::Faces};

#[async_trait]
impl StreamHandler for Connection {
    async fn on_bytes(&mut self, bytes: Bytes, turn: &mut Turn) -> ControlFlow<()> {
        self.take(bytes, turn).await;
        // A connection that ends is closed by its link, behind the last packet.
        ControlFlow::Continue(())
    }

    async fn on_close(&mut self) {
        self.closed().await;
    }
}

/// MQTT over TCP.
pub(crate) struct TcpEndpoint {
    pub(crate) sessions: Arc<SessionManager>,
    pub(crate) faces: Faces,
    pub(crate) outbox: Arc<OutboxOptions>,
}

#[async_trait]
impl TcpProtocol for TcpEndpoint {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn recognise(&self, first: &[u8]) -> Recognition {
        match first.first() {
            None => Recognition::NeedMore,
            // CONNECT
            Some(0x10) => Recognition::Yes,
            Some(_) => Recognition::No,
        }
    }

    async fn serve(self: Arc<Self>, socket: Socket, read_ahead: Bytes) {
        let peer = socket.peer();
        socket.keep_alive();
        let sessions = self.sessions.clone();
        let options = StreamOptions {
            outbox: self.outbox.clone(),
            go_away: None,
        };
        let runtime = sessions.context.broker.space.runtime().clone();
        let faces = self.faces;
        serve_stream(runtime, socket, read_ahead, options, |link| {
            Connection::new(sessions, link, peer, faces)
        })
        .await;
    }
}
