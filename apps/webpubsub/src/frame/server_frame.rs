//! Frames of the server, apart from messages.

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            message: message.into(),
        }
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new("Forbidden", message)
    }
}

/// A frame of the server, apart from messages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ServerFrame<'s> {
    /// The first frame of a connection.
    Connected {
        connection: &'s str,
        user: Option<&'s str>,
        reconnection_token: Option<&'s str>,
    },
    /// The last frame of a connection that the server ends.
    Disconnected(&'s str),
    /// The answer to a request.
    Ack(u64, &'s Result<(), Failure>),
    Pong,
}
