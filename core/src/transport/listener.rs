//! The accept loop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::{Domain, Protocol, Type};
use tokio::net::TcpListener;

use super::{arrival, tcp::Speakers};
use crate::{
    net::{Slots, Socket},
    runtime::Runtime,
};

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

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

    /// Serves `speakers` until the runtime stops.
    pub(crate) async fn serve(self, runtime: Arc<Runtime>, slots: Arc<Slots>, speakers: Speakers) {
        let stop = runtime.stopping();
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    let Some(slot) = slots.take(peer.ip(), runtime.limits()) else {
                        tracing::warn!(%peer, "refused a connection: too many are open");
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
                Err(error) => {
                    // Out of descriptors, mostly: wait for connections to end instead of spinning.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}
