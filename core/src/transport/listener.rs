//! The accept loop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::FutureExt;
use socket2::{Domain, Protocol, Type};
use tokio::net::TcpListener;

use super::{arrival, tcp::Speakers};
use crate::{
    log_limiter::LogLimiter,
    net::{ReserveDescriptor, Slots, Socket, is_out_of_descriptors},
    runtime::Runtime,
    turn::Turn,
};

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

/// Connections that are turned away in a row where there are no descriptors.
const TURNED_AWAY_MAX: usize = 64;

/// How long descriptors have to be given back before the next try.
const PAUSE: Duration = Duration::from_millis(20);

/// A bound address.
#[derive(Debug)]
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is in use or not one of this machine's.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        // A restarted server must not wait for the old connections' TIME_WAIT.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let tcp = TcpListener::from_std(socket.into())?;
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address })
    }

    /// The address that is bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `speakers` until the server begins to send its clients away. Those whom the system has let in by then are served
    /// too, and told.
    pub(crate) async fn serve(self, runtime: Arc<Runtime>, slots: Arc<Slots>, speakers: Speakers) {
        let stop = runtime.drain().begun();
        let reserve = ReserveDescriptor::take();
        let mut turn = Turn::begin();
        loop {
            turn.give_way().await;
            let accepted = tokio::select! {
                accepted = turn.wait(self.tcp.accept()) => accepted,
                () = stop.cancelled() => match self.tcp.accept().now_or_never() {
                    Some(Ok(accepted)) => Ok(accepted),
                    _ => return,
                },
            };
            match accepted {
                Ok((tcp, peer)) => {
                    // A proxy's connections count for those whom it speaks for.
                    let is_proxy = runtime.trusted_proxies().trusts(peer.ip());
                    let from = (!is_proxy).then_some(peer.ip());
                    let Some(slot) = slots.take(from, runtime.limits()) else {
                        static TOO_MANY: LogLimiter = LogLimiter::new();
                        if let Some(times) = TOO_MANY.allow() {
                            tracing::warn!(%peer, times, "refused a connection: too many are open");
                        }
                        continue;
                    };
                    // It fails only when the peer is gone already, which reading shows.
                    let _ = tcp.set_nodelay(true);
                    let socket = Socket::accepted(tcp, peer, slot);
                    let arrival = arrival::serve(
                        runtime.clone(),
                        speakers.clone(),
                        socket,
                        peer,
                        self.address,
                    );
                    runtime.spawn(arrival);
                }
                Err(error) if is_out_of_descriptors(&error) => {
                    self.turn_away(&reserve);
                    // Those that are served need the processor too.
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    static FAILED: LogLimiter = LogLimiter::new();
                    if let Some(times) = FAILED.allow() {
                        tracing::warn!(%error, times, "could not accept a connection");
                    }
                    // Out of memory, mostly: wait for connections to end instead of spinning.
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Accepts and closes what cannot be served for want of descriptors.
    fn turn_away(&self, reserve: &ReserveDescriptor) {
        static OUT_OF_DESCRIPTORS: LogLimiter = LogLimiter::new();
        let mut closed = 0;
        for _ in 0..TURNED_AWAY_MAX {
            let mut is_one = false;
            let was_there = reserve.lend(|| {
                is_one = matches!(self.tcp.accept().now_or_never(), Some(Ok(_)));
            });
            if !(was_there && is_one) {
                break;
            }
            closed += 1;
        }
        if let Some(times) = OUT_OF_DESCRIPTORS.allow() {
            tracing::warn!(
                address = %self.address, closed, times,
                "closed new connections: no file descriptors are left; raise the limit (ulimit -n), or lower \
                 limits.connections_max below it"
            );
        }
    }
}
