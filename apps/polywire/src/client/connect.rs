//! TCP to a server.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use super::ClientError;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the first address of `server` that answers.
pub(super) fn connect(server: &str) -> Result<TcpStream, ClientError> {
    let addresses = match server.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(ClientError::Address(server.into()));
        }
        Err(error) => return Err(ClientError::Connect(server.into(), error)),
    };
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                // What is flushed shall leave; without it only the delay is worse.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(ClientError::Connect(server.into(), last))
}
