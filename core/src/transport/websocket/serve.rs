//! Serving of a WebSocket: from its request to a served connection.

use std::sync::Arc;

use super::{
    HandshakeError, WebSocketOptions, connection::WebSocketConnection, handshake::take_socket,
    negotiate, pump, upgrade,
};
use crate::{
    delivery::Link,
    runtime::Runtime,
    transport::{
        Endpoint, Handshake,
        http::{Request, Response, response},
    },
};

/// Answers a WebSocket handshake and serves the connection from then on.
///
/// # Errors
/// When the request is not a handshake that this endpoint takes.
pub async fn serve(
    runtime: &Arc<Runtime>,
    request: &Request,
    app: &'static str,
    endpoint: &Arc<dyn Endpoint>,
    options: &Arc<WebSocketOptions>,
) -> Result<Response, HandshakeError> {
    let subprotocol = negotiate(&request.headers, &options.subprotocols)?;
    let (answer, on_upgrade) = upgrade(request, subprotocol)?;
    if let Err(foreign) = options.allowed_origins.check(app, request, runtime) {
        return Ok(foreign.response());
    }
    let handshake = Handshake {
        credentials: request.credentials(app),
        subprotocol: subprotocol.map(str::to_owned),
    };
    let identity = match endpoint.accept(&handshake).await {
        Ok(identity) => identity,
        Err(refusal) => {
            let mut answer = response(refusal.status, refusal.body);
            if let Ok(value) = refusal.content_type.parse() {
                answer
                    .headers_mut()
                    .insert(http::header::CONTENT_TYPE, value);
            }
            return Ok(answer);
        }
    };
    let (runtime, endpoint, options) = (runtime.clone(), endpoint.clone(), options.clone());
    runtime.clone().spawn(async move {
        // The wait for the 101 to be written ends with the connection, so it needs no bound.
        let Ok(upgraded) = on_upgrade.await else {
            return;
        };
        let Some((socket, read_ahead)) = take_socket(upgraded) else {
            return tracing::error!("a WebSocket came over a connection of an unknown kind");
        };
        let framing = options.framing;
        let connection = WebSocketConnection::new(&runtime, socket, options);
        let outbox = connection.outbox().clone();
        let link = Link::socket(outbox, framing, runtime.flusher().clone());
        let handler = endpoint.open(link, &handshake, identity);
        drop((endpoint, handshake));
        // In a task of its own: this one's future holds the whole handshake.
        runtime
            .clone()
            .spawn(pump::run(connection, handler, read_ahead));
    });
    Ok(answer)
}
