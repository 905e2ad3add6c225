//! From a request to a socket of a connection.

use std::sync::Arc;

use http::{StatusCode, header};
use percent_encoding::percent_decode_str;
use polywire_core::{
    ClientId, ConnectionId, Identity, Origin,
    delivery::{Link, OutboxOptions},
    http::{Request, Response, text},
    transport::{
        CloseReason, Endpoint, Framing, Handshake, SessionHandler,
        websocket::{WebSocketOptions, serve, upgrade},
    },
};
use rand::distr::{Alphanumeric, SampleString};

use crate::{
    connection::{Connection, NewConnection},
    event::ConnectRequest,
    keys::Claims,
    names::HubName,
    protocol::Protocol,
    rights::{Right, Rights},
    session::{Refused, Session},
    state::{NAME, State},
};

const CLIENT: &str = "/client";
const HUBS: &str = "/client/hubs/";

/// Seconds between pings, as the service has them.
const PING_SECS: u64 = 20;

/// How sockets are served: with a subprotocol that we speak, and with none.
pub(crate) struct Sockets {
    spoken: Arc<WebSocketOptions>,
    simple: Arc<WebSocketOptions>,
}

impl Sockets {
    pub(crate) fn new(state: &State) -> Self {
        let runtime = state.space.runtime();
        let mut options = WebSocketOptions::new(runtime, Framing::WebSocket);
        options.heartbeat_secs = PING_SECS;
        options.go_away = CloseReason::new(1012, "The server stops");
        let simple = Arc::new(options.clone());
        options.subprotocols = Protocol::names();
        // What was kept for a client is sent to it at once.
        let own = &options.outbox;
        options.outbox = Arc::new(OutboxOptions {
            bytes_max: own.bytes_max + 2 * state.buffer.bytes_max,
            ..OutboxOptions::clone(own)
        });
        Self {
            spoken: Arc::new(options),
            simple,
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
    state: Arc<State>,
    opening: Opening,
}

impl Endpoint for Door {
    fn open(&self, link: Link, _: &Handshake, _: Arc<Identity>) -> Box<dyn SessionHandler> {
        match &self.opening {
            Opening::New(connection, groups) => Box::new(Session {
                state: self.state.clone(),
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
                        state: self.state.clone(),
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
pub(crate) async fn answer(state: &Arc<State>, sockets: &Sockets, request: &Request) -> Response {
    match open(state, sockets, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn open(
    state: &Arc<State>,
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
    let hub = named.as_deref().and_then(|name| state.hub(name));
    let hub = hub.ok_or_else(|| {
        refuse(
            StatusCode::NOT_FOUND,
            "Connect to /client/hubs/{hub}; the name of a hub begins with a letter.",
        )
    })?;
    let offered = offers(request);
    let protocol = offered.iter().find_map(|offer| Protocol::named(offer));
    let opening = match (
        query("awps_connection_id"),
        query("awps_reconnection_token"),
    ) {
        (Some(id), Some(token)) => {
            let found = state.find(&hub, &id).filter(|connection| {
                let same: bool = subtle::ConstantTimeEq::ct_eq(
                    connection.reconnection_token.as_bytes(),
                    token.as_bytes(),
                )
                .into();
                // The token of the first time is not looked at any more.
                same && protocol.as_ref() == Some(&connection.protocol) && !connection.has_ended()
            });
            Opening::Recovery(found)
        }
        _ => {
            let token = query("access_token").or_else(|| bearer(request));
            let path = match request.path.starts_with(HUBS) {
                true => request.path.to_string(),
                false => format!("{HUBS}{}", hub.as_str()),
            };
            let claims = match token {
                Some(token) => state.keys.verify(&token, &path),
                None => state.is_anonymous(&hub).then(Claims::default),
            };
            let claims = claims.ok_or_else(|| {
                let message =
                    "The access token is missing, expired, wrongly signed, or for another hub.";
                refuse(StatusCode::UNAUTHORIZED, message)
            })?;
            welcome(state, request, hub, protocol.clone(), offered, claims).await?
        }
    };
    let spoken = opening.subprotocol();
    let door: Arc<dyn Endpoint> = Arc::new(Door {
        state: state.clone(),
        opening,
    });
    let options = match protocol {
        Some(_) => &sockets.spoken,
        None => &sockets.simple,
    };
    let served = serve(state.space.runtime(), request, NAME, &door, options).await;
    let mut response = served.map_err(|error| error.response())?;
    if let Some(spoken) = spoken.and_then(|name| name.parse().ok())
        && response.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, spoken);
    }
    Ok(response)
}

/// Makes the connection of somebody whose token is good.
async fn welcome(
    state: &Arc<State>,
    request: &Request,
    hub: HubName,
    protocol: Option<Protocol>,
    offered: Vec<String>,
    claims: Claims,
) -> Result<Opening, Response> {
    let refuse = |status, message: &str| text(status, format!("{message}\n"));
    let credentials = request.credentials(NAME);
    let mut protocol = match protocol {
        Some(protocol) => protocol,
        None => {
            let mode = credentials.query_value("webpubsub_mode");
            let send_to = match mode.as_deref() {
                Some(mode) if mode.eq_ignore_ascii_case("sendToGroup") => {
                    let group = credentials.query_value("group");
                    let message = "webpubsub_mode=sendToGroup needs the name of a group.";
                    Some(group.ok_or_else(|| refuse(StatusCode::BAD_REQUEST, message))?)
                }
                _ => None,
            };
            Protocol::Simple {
                send_to,
                subprotocol: None,
            }
        }
    };
    let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
    let id = random(24);
    let mut user = claims.sub.clone().filter(|user| !user.is_empty());
    let mut roles = claims.role.as_slice().to_vec();
    let mut groups = claims.group.as_slice().to_vec();
    let mut kept = None;
    if let Some(handler) = state.handler(&hub) {
        // Nobody is asked about a request that cannot become a connection.
        upgrade(request, None).map_err(|error| error.response())?;
        let asked = ConnectRequest::new(
            crate::event::Connection::new(
                id.clone(),
                hub.as_str().to_owned(),
                user.clone(),
                protocol.subprotocol().map(str::to_owned),
                None,
            ),
            claims.to_json(),
            without_token(&request.query),
            request.headers.clone(),
            offered.clone(),
        );
        let welcome = handler.connect(&asked).await.map_err(|failure| {
            let status = StatusCode::from_u16(failure.status);
            refuse(status.unwrap_or(StatusCode::UNAUTHORIZED), &failure.message)
        })?;
        user = welcome.user.or(user);
        roles.extend(welcome.roles);
        groups.extend(welcome.groups);
        kept = welcome.state;
        if let Protocol::Simple { subprotocol, .. } = &mut protocol {
            // A browser would not take one that it did not offer.
            *subprotocol = welcome.subprotocol.filter(|name| offered.contains(name));
        }
    }
    let client = user.as_deref().and_then(|user| ClientId::new(user).ok());
    let rights = Rights::of_roles(roles.iter().map(String::as_str));
    if let Protocol::Simple {
        send_to: Some(group),
        ..
    } = &protocol
        && !rights.allows(Right::Send, group)
    {
        let message = "The token has no role to send to this group.";
        return Err(refuse(StatusCode::FORBIDDEN, message));
    }
    let mut origin = Origin::new(NAME, Identity::anybody()).peer(request.peer);
    let connection = ConnectionId::next(state.space.hub().node());
    origin.connection = Some(connection);
    origin.client = client;
    let connection = Connection::new(NewConnection {
        id,
        formats: state.formats(&hub),
        hub,
        user,
        protocol,
        connection,
        reconnection_token: random(48),
        origin,
        rights,
        state: kept,
    });
    Ok(Opening::New(connection, groups))
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

/// The token of an `Authorization` header.
pub(crate) fn bearer(request: &Request) -> Option<String> {
    let value = request.header("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

fn without_token(query: &str) -> String {
    let pairs = query.split('&');
    let others: Vec<_> = pairs
        .filter(|pair| !pair.starts_with("access_token="))
        .collect();
    others.join("&")
}
