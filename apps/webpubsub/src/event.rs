//! Events of connections, for the code behind a hub.

use async_trait::async_trait;
use http::HeaderMap;
use polywire_core::Payload;

/// The code behind a hub: it may judge who connects, answers events, and learns who came and went.
///
/// # Laws
/// - `connect` comes before everything else of a connection, `disconnected` once and last, also for one whose
///   `connected` failed. Events of one connection come one after another.
/// - A client that was allowed to connect may vanish before it is connected; nothing follows then.
/// - Nobody waits for `connected` and `disconnected`, apart from later events of the connection. When more than 10,000 of
///   them wait on this server, further ones are left out.
/// - Every future may be dropped when the server stops.
///
/// # Examples
/// ```
/// use polywire_core::Payload;
/// use polywire_webpubsub::{Connection, Event, EventFailure, EventHandler, Reply};
///
/// /// Says every event back.
/// struct Parrot;
///
/// #[async_trait::async_trait]
/// impl EventHandler for Parrot {
///     async fn event(&self, _: &Connection, event: Event) -> Result<Reply, EventFailure> {
///         Ok(Reply::new(event.payload))
///     }
/// }
/// ```
#[async_trait]
pub trait EventHandler: Send + Sync + 'static {
    /// Somebody wants to connect.
    ///
    /// # Errors
    /// The client gets this HTTP status instead of a connection.
    async fn connect(&self, request: &ConnectRequest) -> Result<Welcome, EventFailure> {
        let _ = request;
        Ok(Welcome::default())
    }

    /// A connection is open.
    async fn connected(&self, connection: &Connection) {
        let _ = connection;
    }

    /// A client sent an event.
    ///
    /// # Errors
    /// The client hears `InvocationFailed` for the status 404, which says that nobody takes the event, and
    /// `InternalServerError` for others. Where it asked for no answer it is counted. A client without a subprotocol is closed.
    async fn event(&self, connection: &Connection, event: Event) -> Result<Reply, EventFailure>;

    /// Whether [`disconnected`](Self::disconnected) does anything: several nodes write down for each other whose end is to be
    /// told. Default true.
    fn is_told_of_ends(&self) -> bool {
        true
    }

    /// A connection ended. Where its node was killed another one tells.
    async fn disconnected(&self, connection: &Connection, reason: &str) {
        let _ = (connection, reason);
    }
}

/// A connection, as the code behind a hub knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// Its id.
    pub id: String,
    /// The hub.
    pub hub: String,
    /// The user, where there is one.
    pub user: Option<String>,
    /// The subprotocol that was agreed on.
    pub subprotocol: Option<String>,
    /// What the code behind the hub keeps with the connection, if it has set something.
    pub state: Option<String>,
}

impl Connection {
    pub(crate) fn new(
        id: String,
        hub: String,
        user: Option<String>,
        subprotocol: Option<String>,
        state: Option<String>,
    ) -> Self {
        Self {
            id,
            hub,
            user,
            subprotocol,
            state,
        }
    }
}

/// Who wants to connect.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The connection that it would be.
    pub connection: Connection,
    /// What the token says, as JSON.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// The query string, percent-encoded as it came, without the token.
    pub query: String,
    /// The headers of the request.
    pub headers: HeaderMap,
    /// The subprotocols that the client offers.
    pub subprotocols: Vec<String>,
}

impl ConnectRequest {
    pub(crate) fn new(
        connection: Connection,
        claims: serde_json::Map<String, serde_json::Value>,
        query: String,
        headers: HeaderMap,
        subprotocols: Vec<String>,
    ) -> Self {
        Self {
            connection,
            claims,
            query,
            headers,
            subprotocols,
        }
    }
}

/// What is given to somebody who may connect.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Welcome {
    /// Takes the place of the token's user.
    pub user: Option<String>,
    /// Take the place of the token's groups, unless there are none.
    pub groups: Vec<String>,
    /// Take the place of the token's roles, also when there are none.
    pub roles: Option<Vec<String>>,
    /// The subprotocol of a client that offers none that is spoken here; one that it offered.
    pub subprotocol: Option<String>,
    /// Kept with the connection, and shown with its later events.
    pub state: Option<String>,
}

/// An event of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its name; `message` for what a client without a subprotocol sends.
    pub name: String,
    /// Its data.
    pub payload: Payload,
    /// The client said that its data is JSON. A JSON string is a [`Payload::Text`] all the same, which has the string
    /// [quoted](polywire_core::Text::quoted).
    pub is_json: bool,
}

impl Event {
    pub(crate) fn new(name: String, payload: Payload, is_json: bool) -> Self {
        Self {
            name,
            payload,
            is_json,
        }
    }
}

/// The answer to an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Sent to the client as a message of the server, before its event is acknowledged.
    pub payload: Option<Payload>,
    /// Takes the place of what is kept with the connection, if there is one.
    pub state: Option<String>,
}

impl Reply {
    /// An answer with data.
    pub fn new(payload: impl Into<Option<Payload>>) -> Self {
        Self {
            payload: payload.into(),
            state: None,
        }
    }
}

/// Why somebody may not connect, or an event failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EventFailure {
    /// An HTTP status of 400 or more.
    pub status: u16,
    /// One sentence for the client.
    pub message: String,
}
