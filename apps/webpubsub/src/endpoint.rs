//! The client endpoint: from a request to a socket of a connection.

use std::sync::Arc;

use http::{StatusCode, header};
use percent_encoding::percent_decode_str;
use polywire_core::{
    Identity,
    delivery::{Link, OutboxOptions},
    http::{AllowedOrigins, Request, Response, text},
    transport::{
        CloseReason, Endpoint, Framing, Handshake, SessionHandler,
        websocket::{WebSocketOptions, serve},
    },
};

use crate::{
    bearer::bearer,
    broker::{Broker, THROTTLED},
    connection::Connection,
    create_connection::{create_connection, loses_fast_answers},
    keys::Claims,
    names::{HubName, NAME},
    protocol::Protocol,
    session::{Refused, Session},
    transfer::TryAgain,
};

const CLIENT: &str = "/client";
const HUBS: &str = "/client/hubs/";

/// Seconds between pings, as the service has them.
const PING_SECS: u64 = 20;

/// How sockets are served: with a reliable subprotocol, and without.
pub(crate) struct Sockets {
    reliable: Arc<WebSocketOptions>,
    plain: Arc<WebSocketOptions>,
    /// Pages of which sites may connect without a token.
    anonymous: AllowedOrigins,
}

impl Sockets {
    pub(crate) fn new(broker: &Broker, origins: Option<&[String]>) -> Self {
        let runtime = broker.space.runtime();
        let mut options = WebSocketOptions::new(runtime, "webpubsub", Framing::WebSocket);
        options.allowed_origins = AllowedOrigins::any().or_listed(origins);
        options.heartbeat_secs = PING_SECS;
        options.go_away = Some(CloseReason::new(1012, "The server stops"));
        let plain = Arc::new(options.clone());
        // What was kept for a client is sent to it at once.
        let own = &options.outbox;
        options.outbox = Arc::new(OutboxOptions {
            bytes_max: own.bytes_max + 2 * broker.buffer.bytes_max,
            ..OutboxOptions::clone(own)
        });
        Self {
            reliable: Arc::new(options),
            plain,
            anonymous: AllowedOrigins::near().or_listed(origins),
        }
    }

    fn of(&self, protocol: Option<&Protocol>) -> &Arc<WebSocketOptions> {
        match protocol {
            Some(protocol) if protocol.is_reliable() => &self.reliable,
            _ => &self.plain,
        }
    }
}

pub(crate) fn is_client(path: &str) -> bool {
    path == CLIENT
        || path
            .strip_prefix(CLIENT)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// What becomes of a socket.
enum Opening {
    New(Arc<Connection>, Vec<String>),
    Recovery(Option<Arc<Connection>>),
}

impl Opening {
    /// The subprotocol that the code behind a hub speaks with this client.
    fn subprotocol(&self) -> Option<String> {
        match self {
            Self::New(connection, _) => match &connection.protocol {
                Protocol::Simple { subprotocol, .. } => subprotocol.clone(),
                _ => None,
            },
            Self::Recovery(_) => None,
        }
    }
}

/// One socket that is to be opened.
struct Door {
    broker: Arc<Broker>,
    opening: Opening,
}

impl Endpoint for Door {
    fn open(&self, link: Link, _: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        match &self.opening {
            Opening::New(connection, groups) => Box::new(Session {
                broker: self.broker.clone(),
                connection: connection.clone(),
                socket: 0,
                beginning: Some((link, groups.clone())),
            }),
            Opening::Recovery(found) => {
                let recovered = found
                    .as_ref()
                    .and_then(|connection| Some((connection, connection.recover(link.clone())?)));
                match recovered {
                    Some((connection, socket)) => Box::new(Session {
                        broker: self.broker.clone(),
                        connection: connection.clone(),
                        socket,
                        beginning: None,
                    }),
                    None => Box::new(Refused(link)),
                }
            }
        }
    }
}

/// Answers a client that wants a socket.
pub(crate) async fn answer(broker: &Arc<Broker>, sockets: &Sockets, request: &Request) -> Response {
    match open(broker, sockets, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn open(
    broker: &Arc<Broker>,
    sockets: &Sockets,
    request: &Request,
) -> Result<Response, Response> {
    let refuse = |status, message: &str| text(status, format!("{message}\n"));
    let credentials = request.credentials(NAME);
    let query = |name: &str| credentials.query_value(name);
    let named = match request.path.strip_prefix(HUBS) {
        Some(name) => percent_decode_str(name.trim_end_matches('/'))
            .decode_utf8()
            .ok()
            .map(|name| name.into_owned()),
        None => query("hub"),
    };
    let hub = named.as_deref().and_then(|name| broker.hub(name));
    let hub = hub.ok_or_else(|| {
        refuse(
            StatusCode::NOT_FOUND,
            "Connect to /client/hubs/{hub}; the name of a hub begins with a letter.",
        )
    })?;
    let offered = offers(request);
    let spoken = offered
        .iter()
        .find_map(|offer| Some((offer.clone(), Protocol::named(offer)?)));
    // The name goes back as it was offered: browsers compare it with its case.
    let (name, protocol) = spoken.unzip();
    let opening = match (
        query("awps_connection_id").filter(|id| !id.is_empty()),
        query("awps_reconnection_token"),
    ) {
        (Some(id), Some(token)) => {
            // The access token of the first time is not looked at any more.
            let subprotocol = protocol.as_ref().and_then(Protocol::subprotocol);
            let found = recoverable(broker, &hub, &id, &token, subprotocol).await;
            Opening::Recovery(found.map_err(|TryAgain| {
                let message = "The connection is on its way to this node; come again.";
                refuse(StatusCode::SERVICE_UNAVAILABLE, message)
            })?)
        }
        // Whoever names a connection wants no other one.
        (Some(_), None) => Opening::Recovery(None),
        _ => {
            let token = query("access_token").or_else(|| bearer(request));
            let path = if request.path.starts_with(HUBS) {
                request.path.to_string()
            } else {
                format!("{HUBS}{}", hub.as_str())
            };
            if token.is_none() && broker.is_anonymous(&hub) {
                // Nothing says who it is but where it is.
                let runtime = broker.space.runtime();
                let allowed = sockets.anonymous.check(NAME, request, runtime);
                allowed.map_err(|foreign| foreign.response())?;
            }
            let claims = match &token {
                Some(token) => broker.keys.verify(token, &path),
                None => broker.is_anonymous(&hub).then(Claims::default),
            };
            let claims = claims.ok_or_else(|| {
                match broker.count_wrong(request, token.as_deref()) {
                    Ok(()) => {
                        let message = "The access token is missing, expired, not valid yet, wrongly signed, or for another hub.";
                        refuse(StatusCode::UNAUTHORIZED, message)
                    }
                    Err(_) => refuse(StatusCode::TOO_MANY_REQUESTS, THROTTLED),
                }
            })?;
            let created =
                create_connection(broker, request, hub, protocol.clone(), offered, claims).await?;
            Opening::New(created.0, created.1)
        }
    };
    let spoken = name.or_else(|| opening.subprotocol());
    let door: Arc<dyn Endpoint> = Arc::new(Door {
        broker: broker.clone(),
        opening,
    });
    if loses_fast_answers(request) {
        // Nor does that client wait yet for the socket to be open.
        tokio::time::sleep(broker.ack_delay.delay()).await;
    }
    let options = sockets.of(protocol.as_ref());
    let served = serve(broker.space.runtime(), request, NAME, &door, options).await;
    let mut response = served.map_err(|error| error.response())?;
    if let Some(spoken) = spoken.and_then(|name| name.parse().ok())
        && response.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, spoken);
    }
    Ok(response)
}

/// The connection that a client has come back to, if that can go on; from another node where it is there.
async fn recoverable(
    broker: &Broker,
    hub: &HubName,
    id: &str,
    token: &str,
    subprotocol: Option<&str>,
) -> Result<Option<Arc<Connection>>, TryAgain> {
    match broker.find(hub, id) {
        Some(connection) if connection.is_arriving() => Err(TryAgain),
        Some(connection) => {
            let is_it = connection.is_of(token, subprotocol) && !connection.has_ended();
            Ok(is_it.then_some(connection))
        }
        None => broker.transfers.fetch(hub, id, token, subprotocol).await,
    }
}

fn offers(request: &Request) -> Vec<String> {
    let headers = request.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    headers
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|offer| offer.trim().to_owned())
        .filter(|offer| !offer.is_empty())
        .collect()
}
