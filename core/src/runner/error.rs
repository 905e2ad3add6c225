//! Reasons why a server does not start.

use std::{fmt, net::SocketAddr};

use crate::{backend::BackendError, persistence::PersistenceError};

/// Why a server does not start. The text is for the person who started it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The parts do not fit together; all problems at once.
    #[error("{}", Problems(.0))]
    Composition(Vec<String>),
    /// Some addresses cannot be listened on; all of them at once.
    #[error("{}", Problems(.0))]
    Listen(Vec<BindFailure>),
    /// The backend refused to start.
    #[error("the backend does not start")]
    Backend(#[source] BackendError),
    /// The store cannot be opened.
    #[error("the store does not start")]
    Persistence(#[from] PersistenceError),
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", Hint(.error))]
pub struct BindFailure {
    /// The address.
    pub address: SocketAddr,
    /// What the system says. It is in the text already, so it is no `source`.
    pub error: std::io::Error,
}

struct Problems<'p, T>(&'p [T]);

impl<T: fmt::Display> fmt::Display for Problems<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

struct Hint<'e>(&'e std::io::Error);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            std::io::ErrorKind::AddrInUse => {
                f.write_str("another program uses it; stop that program or choose another port")
            }
            std::io::ErrorKind::AddrNotAvailable => {
                f.write_str("this machine has no such address; choose one of its own, or 0.0.0.0")
            }
            std::io::ErrorKind::PermissionDenied => {
                f.write_str("this user may not; choose a port above 1023")
            }
            _ => self.0.fmt(f),
        }
    }
}
