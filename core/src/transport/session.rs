//! Sessions as an app handles them, whatever transport carries them.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;

use crate::{
    authentication::Credentials,
    delivery::{Link, Message},
    identity::Identity,
};

/// What an app does with the sessions of one address, such as `/connect`.
#[async_trait]
pub trait Endpoint: Send + Sync + 'static {
    /// Judges a client before its session opens. Default: everybody comes in, as nobody in particular and with no right.
    ///
    /// # Errors
    /// The HTTP answer that the client gets instead of a session.
    async fn accept(&self, handshake: &Handshake) -> Result<Arc<Identity>, HttpRefusal> {
        let _ = handshake;
        Ok(Arc::default())
    }

    /// Opens a session; `link` sends to the client.
    fn open(
        &self,
        link: Link,
        handshake: &Handshake,
        identity: Arc<Identity>,
    ) -> Box<dyn SessionHandler>;
}

/// One session of an app. Calls come one after another.
#[async_trait]
pub trait SessionHandler: Send + 'static {
    /// The session is open; called once, first.
    async fn on_open(&mut self) {}

    /// The client sent a message. The next one is not read before this returns. A loop over what is in it gives way by
    /// a [`Turn`](crate::Turn).
    async fn on_message(&mut self, message: Message);

    /// The session ended; called once, last.
    async fn on_close(&mut self, ending: Ending) {
        let _ = ending;
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client said so, with this close code: 1000 from a transport without codes, 1005 where it gave none, as in RFC 6455
    /// section 7.1.5. Or it broke the rules of the transport, and was told the code.
    Closed(u16),
    /// The transport was lost, or the server ended it: the client may come back.
    Lost,
}

/// What a client said when it connected.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// Path, query, headers and address.
    pub credentials: Credentials,
    /// The WebSocket subprotocol that was agreed on.
    pub subprotocol: Option<String>,
}

/// An HTTP answer that stands for a refused session.
#[derive(Debug, Clone)]
pub struct HttpRefusal {
    /// The status.
    pub status: StatusCode,
    /// The content type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}
