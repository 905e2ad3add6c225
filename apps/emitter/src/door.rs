//! How connections come: over TCP and over WebSocket.

use std::{ops::ControlFlow, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use polywire_core::{
    Identity,
    delivery::{Link, Message, OutboxOptions},
    transport::{
        Ending, Endpoint, Framing, Handshake, SessionHandler, Socket,
        tcp::{Recognition, StreamHandler, StreamOptions, TcpProtocol, serve_stream},
        websocket::WebSocketOptions,
    },
};

use crate::{connection::Connection, face::Faces, shared::Shared};

/// What a frame may be longer than a packet: clients may put several packets into one.
const FRAME_BYTES_MORE: usize = 64 << 10;

#[async_trait]
impl StreamHandler for Connection {
    async fn on_bytes(&mut self, bytes: Bytes) -> ControlFlow<()> {
        self.take(bytes).await;
        // A connection that ends is closed by its link, behind the last packet.
        ControlFlow::Continue(())
    }

    async fn on_close(&mut self) {
        self.closed().await;
    }
}

#[async_trait]
impl SessionHandler for Connection {
    async fn on_message(&mut self, message: Message) {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into_bytes(),
        };
        self.take(bytes).await;
    }

    async fn on_close(&mut self, _: Ending) {
        self.closed().await;
    }
}

/// MQTT over TCP.
pub(crate) struct Mqtt {
    pub(crate) shared: Arc<Shared>,
    pub(crate) faces: Faces,
    pub(crate) outbox: Arc<OutboxOptions>,
}

#[async_trait]
impl TcpProtocol for Mqtt {
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
        let shared = self.shared.clone();
        let options = StreamOptions {
            outbox: self.outbox.clone(),
            go_away: Bytes::new(),
        };
        let (runtime, faces) = (shared.space.runtime().clone(), self.faces);
        serve_stream(runtime, socket, read_ahead, options, |link| {
            Connection::new(shared, link, peer, faces)
        })
        .await;
    }
}

/// MQTT over WebSocket.
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) faces: Faces,
}

impl Door {
    pub(crate) fn options(shared: &Shared) -> WebSocketOptions {
        let runtime = shared.space.runtime();
        let mut options = WebSocketOptions::new(runtime, Framing::WebSocket);
        options.subprotocols = vec!["mqtt", "mqttv3.1", "mqttv3", "mqttv5"];
        options.message_bytes_max = shared.packet_bytes_max + FRAME_BYTES_MORE;
        options
    }
}

impl Endpoint for Door {
    fn open(&self, link: Link, handshake: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        let peer = handshake.credentials.peer;
        Box::new(Connection::new(self.shared.clone(), link, peer, self.faces))
    }
}
