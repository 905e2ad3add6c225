//! The server that is measured.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use polywire::cli::BenchFlags;
use rustls::{ClientConfig, ClientConnection};

use super::BenchError;
use crate::client::tls;

/// How long one of several addresses may take to show whether a server answers there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// As it is named, with the port.
    pub(super) authority: String,
    host: String,
    tls: Option<Arc<ClientConfig>>,
}

impl Target {
    pub(super) fn of(flags: &BenchFlags) -> Result<Self, BenchError> {
        let server = &flags.addr;
        let found = (server.host.as_str(), server.port).to_socket_addrs();
        let addresses: Vec<_> = found
            .map_err(|error| BenchError::Resolve(server.to_string(), error))?
            .collect();
        let answers = |address: &&SocketAddr| {
            addresses.len() == 1 || TcpStream::connect_timeout(address, PROBE_TIMEOUT).is_ok()
        };
        let address = addresses.iter().find(answers).or(addresses.first());
        Ok(Self {
            address: *address.ok_or_else(|| {
                BenchError::Resolve(server.to_string(), std::io::ErrorKind::NotFound.into())
            })?,
            authority: server.authority(),
            host: server.host.clone(),
            tls: if server.tls {
                Some(tls::config(flags.ca.as_deref())?)
            } else {
                None
            },
        })
    }

    /// What speaks TLS on a new connection, where it is spoken.
    pub(super) fn session(&self) -> Result<Option<Box<ClientConnection>>, BenchError> {
        let session = self.tls.as_ref();
        let session = session.map(|config| tls::connection(config, &self.host).map(Box::new));
        Ok(session.transpose()?)
    }
}
