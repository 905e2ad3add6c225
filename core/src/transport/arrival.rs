//! Arrival of a connection: from the accept to the protocol that serves it.

use std::{net::SocketAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, future::BoxFuture};

use super::{
    http,
    proxy_header::{self, BadHeader},
    tcp::{Speaker, Speakers, Unrecognised, read_more, recognise},
};
use crate::{
    log_limiter::LogLimiter,
    net::{Socket, tls::handshake},
    runtime::Runtime,
};

/// Finds out who speaks, and hands the connection over.
pub(super) fn serve(
    runtime: Arc<Runtime>,
    speakers: Speakers,
    socket: Socket,
    peer: SocketAddr,
    address: SocketAddr,
) -> impl Future<Output = ()> + Send {
    // Boxed, so that a connection that is served carries nothing of how it arrived.
    let arriving = Box::pin(arrive(runtime, speakers, socket, peer, address));
    async move {
        let serving = arriving.await;
        if let Some(serving) = serving {
            serving.await;
        }
    }
}

/// Finds out who speaks; what comes back serves the connection.
async fn arrive(
    runtime: Arc<Runtime>,
    speakers: Speakers,
    socket: Socket,
    peer: SocketAddr,
    address: SocketAddr,
) -> Option<BoxFuture<'static, ()>> {
    match identify_unless_stopping(&runtime, speakers, socket).await {
        Ok((socket, Speaker::Http(site), read_ahead)) => {
            // It may be another than the one that connected.
            let peer = socket.peer().unwrap_or(peer);
            Some(http::serve(runtime, site, socket, read_ahead, peer).boxed())
        }
        Ok((socket, Speaker::Tcp(protocol), read_ahead)) => {
            Some(protocol.serve(socket, read_ahead))
        }
        // TLS inside TLS is not looked for.
        Ok((_, Speaker::Tls(_), _)) | Err(Unrecognised::Stopping) => None,
        Err(error) => {
            refuse(&runtime, &error, peer, address);
            None
        }
    }
}

async fn identify_unless_stopping(
    runtime: &Runtime,
    speakers: Speakers,
    socket: Socket,
) -> Result<(Socket, Speaker, Bytes), Unrecognised> {
    tokio::select! {
        identified = identify(runtime, socket, &speakers) => identified,
        () = runtime.stopping().cancelled_owned() => Err(Unrecognised::Stopping),
    }
}

/// Takes what a proxy says before anything else, waits for a client that has nothing to say yet, goes through TLS where it speaks
/// that, and names the one who serves what is inside.
async fn identify(
    runtime: &Runtime,
    mut socket: Socket,
    speakers: &Speakers,
) -> Result<(Socket, Speaker, Bytes), Unrecognised> {
    let may_be_silent = speakers.may_be_silent();
    let mut first = BytesMut::new();
    if may_be_silent {
        wait_for_first_bytes(runtime, &socket, &mut first).await?;
    }
    let peer = socket.peer();
    if peer.is_some_and(|peer| runtime.trusted_proxies().trusts(peer.ip())) {
        let header = in_time(runtime, async {
            proxy_header::read(&socket, &mut first)
                .await
                .map_err(Unrecognised::from)
        });
        let client = header.await?;
        if client.is_some_and(|client| !socket.speaks_for(client, runtime.limits())) {
            return Err(Unrecognised::TooMany);
        }
        if may_be_silent && first.is_empty() {
            wait_for_first_bytes(runtime, &socket, &mut first).await?;
        }
    }
    in_time(
        runtime,
        secure_and_recognise(runtime, socket, speakers, first),
    )
    .await
}

async fn in_time<T>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, Unrecognised>>,
) -> Result<T, Unrecognised> {
    let done = tokio::time::timeout(runtime.limits().header_timeout(), work).await;
    done.unwrap_or(Err(Unrecognised::Late))
}

/// Waits a moment, as for everybody, and then for as long as there is a seat for one more silent connection.
async fn wait_for_first_bytes(
    runtime: &Runtime,
    socket: &Socket,
    first: &mut BytesMut,
) -> Result<(), Unrecognised> {
    let limit = runtime.limits().header_timeout();
    if let Ok(read) = tokio::time::timeout(limit, read_more(socket, first)).await {
        return read;
    }
    // A proxy speaks for many.
    let address = socket.peer().map(|peer| peer.ip());
    let address = address.filter(|address| !runtime.trusted_proxies().trusts(*address));
    let seat = runtime.silent().sit(address, runtime.limits());
    socket.keep_alive();
    tokio::select! {
        read = read_more(socket, first) => read,
        () = seat.lost() => Err(Unrecognised::Silent),
    }
}

async fn secure_and_recognise(
    runtime: &Runtime,
    mut socket: Socket,
    speakers: &Speakers,
    first: BytesMut,
) -> Result<(Socket, Speaker, Bytes), Unrecognised> {
    let (mut speaker, mut read_ahead) = recognise(&socket, speakers, first).await?;
    if let Speaker::Tls(config) = speaker {
        // Each takes several KiB until it is done: so many at once, and no more. It is never closed.
        let permit = runtime.handshakes().acquire().await;
        let session = handshake(socket.tcp(), config, &read_ahead).await;
        socket.secure(session.map_err(Unrecognised::Handshake)?);
        drop(permit);
        (speaker, read_ahead) = recognise(&socket, speakers, BytesMut::new()).await?;
    }
    Ok((socket, speaker, read_ahead))
}

/// Says why a connection was closed; what looks like a mistake of its operator, where it is seen.
fn refuse(runtime: &Runtime, error: &Unrecognised, peer: SocketAddr, address: SocketAddr) {
    static TLS: LogLimiter = LogLimiter::new();
    static PLAIN: LogLimiter = LogLimiter::new();
    match error {
        Unrecognised::Tls => {
            if let Some(times) = TLS.allow() {
                tracing::info!(
                    %peer, %address, times,
                    "closed a connection that speaks TLS: this address has no certificate; set \
                     tls.certificate and tls.key, or have the client connect without TLS"
                );
            }
        }
        Unrecognised::Plain => {
            if let Some(times) = PLAIN.allow() {
                tracing::info!(
                    %peer, %address, times,
                    "closed a connection that does not speak TLS: this address serves nothing else; \
                     have the client connect with TLS (https://, wss://), or leave tls.only out"
                );
            }
        }
        Unrecognised::TooMany => {
            let reason = "closed a connection: too many are open from the client of a proxy";
            runtime.counters().of("server", reason).add();
        }
        Unrecognised::Silent => {
            let reason = "closed a connection that said nothing: limits.silent_connections_max or \
                          limits.silent_connections_per_address_max are silent";
            runtime.counters().of("server", reason).add();
        }
        Unrecognised::ProxyHeader(BadHeader::Malformed) => {
            let reason = "closed a connection of a trusted proxy: its PROXY header is malformed";
            runtime.counters().of("server", reason).add();
        }
        error => {
            tracing::debug!(%peer, error = error as &dyn std::error::Error, "closed a connection");
        }
    }
}
