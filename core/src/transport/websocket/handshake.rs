//! The opening handshake: RFC 6455 section 4.2.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast as downcast_auto};
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;

use crate::{
    net::Socket,
    transport::{
        guarded::GuardedSocket,
        http::{Request, Response, text},
    },
};

/// Section 1.3: what the accept hash is made with.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a request is not a WebSocket handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The method is not GET.
    #[error("A WebSocket handshake is a GET request.")]
    Method,
    /// There is no `Upgrade: websocket`, or `Connection` does not name it.
    #[error("This address speaks WebSocket: send Upgrade: websocket and Connection: Upgrade.")]
    NotUpgrade,
    /// The version is not 13.
    #[error("Only WebSocket version 13 is spoken here.")]
    Version,
    /// The key is missing or malformed.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64.")]
    Key,
    /// The client offered subprotocols, and none of them is spoken here.
    #[error("None of the offered subprotocols is spoken here.")]
    Subprotocol,
}

impl HandshakeError {
    /// The HTTP answer.
    pub fn response(self) -> Response {
        let status = match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        };
        let mut response = text(status, format!("{self}\n"));
        let headers = response.headers_mut();
        match self {
            Self::Method => headers.insert(header::ALLOW, HeaderValue::from_static("GET")),
            // Section 4.4.
            Self::Version => headers.insert(
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            ),
            _ => None,
        };
        response
    }
}

/// Checks a handshake and makes the 101 answer for it.
///
/// # Errors
/// See [`HandshakeError`].
pub fn upgrade(
    request: &Request,
    subprotocol: Option<&str>,
) -> Result<(Response, OnUpgrade), HandshakeError> {
    if request.method != Method::GET {
        return Err(HandshakeError::Method);
    }
    let headers = &request.headers;
    if !has_token(headers, header::UPGRADE, "websocket")
        || !has_token(headers, header::CONNECTION, "upgrade")
    {
        return Err(HandshakeError::NotUpgrade);
    }
    if request.header("sec-websocket-version").map(str::trim) != Some("13") {
        return Err(HandshakeError::Version);
    }
    let key = request
        .header("sec-websocket-key")
        .map(str::trim)
        .ok_or(HandshakeError::Key)?;
    if STANDARD.decode(key).map(|key| key.len()) != Ok(16) {
        return Err(HandshakeError::Key);
    }
    // hyper leaves the extension out where an upgrade is not possible, as in HTTP/1.0.
    let on_upgrade = request
        .on_upgrade
        .clone()
        .ok_or(HandshakeError::NotUpgrade)?;

    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    out.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        out.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(Ok(name)) = subprotocol.map(HeaderValue::from_str) {
        out.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok((response, on_upgrade))
}

/// The first of the offered subprotocols that is among `spoken`. An endpoint that speaks none answers
/// none, whatever is offered.
///
/// # Errors
/// [`HandshakeError::Subprotocol`] when there are offers and none is spoken: a browser would fail the
/// connection, so the refusal says why.
pub fn negotiate(
    headers: &HeaderMap,
    spoken: &[&'static str],
) -> Result<Option<&'static str>, HandshakeError> {
    if spoken.is_empty() {
        return Ok(None);
    }
    let mut offered = tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).peekable();
    if offered.peek().is_none() {
        return Ok(None);
    }
    offered
        .find_map(|offer| spoken.iter().find(|name| **name == offer))
        .map(|name| Some(*name))
        .ok_or(HandshakeError::Subprotocol)
}

fn tokens(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// The socket under an upgraded connection, and the bytes that were read ahead.
///
/// It was accepted by our listener, or by `warp::serve` where polywire is mounted in another application.
pub(super) fn take_socket(upgraded: Upgraded) -> Option<(Socket, Bytes)> {
    let upgraded = match upgraded.downcast::<TokioIo<GuardedSocket>>() {
        Ok(parts) => return Some((parts.io.into_inner().into_socket(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return Some((Socket::new(parts.io.into_inner()), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    let parts = downcast_auto::<TokioIo<TcpStream>>(upgraded).ok()?;
    Some((Socket::new(parts.io.into_inner()), parts.read_buf))
}
