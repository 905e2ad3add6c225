//! The route of packets to a client: to one connection for life, or to whatever connection it has.

use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::{client_limits::ClientLimits, connection_handle::ConnectionHandle};
use crate::codec::encoder::Encoders;

/// Where the packets of a client go.
pub(crate) enum Route {
    /// To one connection: the session ends with it. What is delivered takes no lock.
    Fixed {
        handle: Arc<ConnectionHandle>,
        client_limits: ClientLimits,
        /// Known when the mode is.
        encoders: OnceLock<Encoders>,
    },
    /// To the connection that the client has, if it has one.
    Changing(RwLock<BoundConnection>),
}

/// Where a client is whose session outlives its connections.
pub(crate) struct BoundConnection {
    /// Those of the last connection, where it has none.
    pub(crate) client_limits: ClientLimits,
    pub(crate) encoders: Encoders,
    pub(crate) handle: Option<Arc<ConnectionHandle>>,
}

/// A route while it is used.
pub(crate) struct RouteRef<'r> {
    pub(crate) client_limits: &'r ClientLimits,
    pub(crate) encoders: &'r Encoders,
    /// None when the client is away.
    pub(crate) handle: Option<&'r ConnectionHandle>,
}

impl Route {
    /// To one connection.
    pub(crate) fn fixed(handle: Arc<ConnectionHandle>, client_limits: ClientLimits) -> Self {
        Self::Fixed {
            handle,
            client_limits,
            encoders: OnceLock::new(),
        }
    }

    /// Uses the route; `None` for a client whose mode is not known yet, which is subscribed to nothing.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(RouteRef<'_>) -> R) -> Option<R> {
        match self {
            Self::Fixed {
                handle,
                client_limits,
                encoders,
            } => Some(use_it(RouteRef {
                client_limits,
                encoders: encoders.get()?,
                handle: Some(handle),
            })),
            Self::Changing(connection) => {
                let connection = connection.read();
                Some(use_it(RouteRef {
                    client_limits: &connection.client_limits,
                    encoders: &connection.encoders,
                    handle: connection.handle.as_deref(),
                }))
            }
        }
    }

    /// Uses the connection, if there is one, whatever is known of the mode.
    pub(crate) fn with_handle(&self, use_it: impl FnOnce(&ConnectionHandle, &ClientLimits)) {
        match self {
            Self::Fixed {
                handle,
                client_limits,
                ..
            } => use_it(handle, client_limits),
            Self::Changing(connection) => {
                let connection = connection.read();
                if let Some(handle) = &connection.handle {
                    use_it(handle, &connection.client_limits);
                }
            }
        }
    }

    /// Sets the wire formats of the mode that the client speaks.
    pub(crate) fn set_encoders(&self, chosen: Encoders) {
        match self {
            Self::Fixed { encoders, .. } => {
                // A client speaks one.
                let _ = encoders.set(chosen);
            }
            Self::Changing(connection) => connection.write().encoders = chosen,
        }
    }
}
