//! One HTTP connection: HTTP/1.1 on the fast path while that goes, and by hyper from then on; HTTP/2 by hyper.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;

use super::{
    Site,
    direct::{self, Outcome},
    http1, http2,
};
use crate::{
    runtime::Runtime,
    transport::{Socket, guarded::GuardedSocket},
};

/// Serves a connection until it ends or is upgraded.
pub(in crate::transport) async fn serve(
    runtime: Arc<Runtime>,
    site: Site,
    socket: Socket,
    read_ahead: Bytes,
    peer: SocketAddr,
) {
    if socket.speaks_http2() {
        let io = GuardedSocket::new(socket, read_ahead, &runtime, None);
        return Box::pin(http2::serve(runtime, site.routes, io, peer)).await;
    }
    let io = if site.responders.is_empty() {
        GuardedSocket::new(socket, read_ahead, &runtime, None)
    } else {
        match direct::serve(&runtime, &site.responders, socket, read_ahead, peer).await {
            Outcome::Other {
                socket,
                read_ahead,
                due,
            } => GuardedSocket::new(socket, read_ahead, &runtime, Some(due)),
            Outcome::Ended => return,
        }
    };
    // Boxed, so that a connection on the fast path does not carry room for it.
    Box::pin(http1::serve(runtime, site.routes, io, peer)).await;
}
