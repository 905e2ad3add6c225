//! Sockets of clients.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use tungstenite::{WebSocket, client::IntoClientRequest};

/// How long a publisher waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// A connection of a publisher.
pub(super) fn connect(at: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A WebSocket over a connection.
pub(super) fn websocket(
    stream: TcpStream,
    path: &str,
    subprotocol: &str,
) -> io::Result<WebSocket<TcpStream>> {
    let at = stream.peer_addr()?;
    let mut request = format!("ws://{at}{path}")
        .into_client_request()
        .map_err(io::Error::other)?;
    if !subprotocol.is_empty() {
        let offer = subprotocol.parse().map_err(io::Error::other)?;
        request
            .headers_mut()
            .insert("sec-websocket-protocol", offer);
    }
    let opened = tungstenite::client(request, stream);
    let (socket, _) = opened.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(socket)
}

/// A bad frame of the server's.
pub(super) fn nonsense(what: &impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("not understood: {what:?}"))
}
