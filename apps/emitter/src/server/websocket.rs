//! MQTT over WebSocket.

use std::sync::Arc;

use async_trait::async_trait;
use polywire_core::{
    Identity, Turn,
    delivery::{Link, Message},
    transport::{
        Ending, Endpoint, Framing, Handshake, SessionHandler, websocket::WebSocketOptions,
    },
};

use super::connection::Connection;
use crate::{broker::context::BrokerContext, sessions::manager::SessionManager, settings::Faces};

/// What a frame may be longer than a packet: clients may put several packets into one.
const FRAME_BYTES_MORE: usize = 64 << 10;

#[async_trait]
impl SessionHandler for Connection {
    async fn on_message(&mut self, message: Message) {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into_bytes(),
        };
        self.take(bytes, &mut Turn::begin()).await;
    }

    async fn on_close(&mut self, _: Ending) {
        self.closed().await;
    }
}

/// MQTT over WebSocket.
pub(crate) struct WebSocketEndpoint {
    pub(crate) sessions: Arc<SessionManager>,
    pub(crate) faces: Faces,
}

impl WebSocketEndpoint {
    pub(crate) fn options(broker: &BrokerContext) -> WebSocketOptions {
        let runtime = broker.space.runtime();
        let mut options = WebSocketOptions::new(runtime, "emitter", Framing::WebSocket);
        // A client is told in a packet, by its connection handle.
        options.go_away = None;
        options.subprotocols = vec!["mqtt", "mqttv3.1", "mqttv3", "mqttv5"];
        options.message_bytes_max = broker.packet_bytes_max + FRAME_BYTES_MORE;
        options
    }
}

impl Endpoint for WebSocketEndpoint {
    fn open(&self, link: Link, handshake: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        let peer = handshake.credentials.peer;
        Box::new(Connection::new(
            self.sessions.clone(),
            link,
            peer,
            self.faces,
        ))
    }
}
