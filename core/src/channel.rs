//! Channel names.

use std::{borrow::Borrow, fmt, sync::Arc};

/// What the names of channels begin with that apps use among themselves. No client publishes or subscribes there.
pub const RESERVED: &str = "$polywire/";

/// What the names of channels begin with on which a server says something of itself. Clients may subscribe there, and
/// do not publish.
pub const SYSTEM: &str = "$SYS/";

/// What MQTT's filters of shared subscriptions begin with. Nothing is published or stored there, and nobody is present: a
/// group is named in SUBSCRIBE alone.
pub const SHARE: &str = "$share/";

/// The name of a channel, kept byte for byte.
///
/// Two protocols mean the same channel when their names are equal after each protocol's own syntax
/// was taken off; polywire never rewrites a name. Cloning is a reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(Arc<str>);

/// Why a text is not a channel name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidChannel {
    /// The name has no characters.
    #[error("a channel name must not be empty")]
    Empty,
}

impl Channel {
    /// Takes `name` as it is.
    ///
    /// # Errors
    /// An empty name is refused. Length limits belong to [`Limits`](crate::Limits).
    pub fn new(name: &str) -> Result<Self, InvalidChannel> {
        if name.is_empty() {
            Err(InvalidChannel::Empty)
        } else {
            Ok(Self(name.into()))
        }
    }

    /// The channel of this name among those that apps use among themselves: see [`RESERVED`].
    pub fn reserved(name: &str) -> Self {
        Self(format!("{RESERVED}{name}").into())
    }

    /// True when it is one of those that apps use among themselves: see [`RESERVED`].
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED)
    }

    /// True when the server says something of itself there: see [`SYSTEM`].
    pub fn is_system(&self) -> bool {
        self.0.starts_with(SYSTEM)
    }

    /// True when clients that are on it are present there: it is none of the server's own.
    pub fn is_place(&self) -> bool {
        !self.is_reserved() && !self.is_system()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({:?})", &*self.0)
    }
}
