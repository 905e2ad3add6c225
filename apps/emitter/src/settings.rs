//! Settings, what can be wrong with them, and what cannot be set.

/// The short name of the app.
pub(crate) const NAME: &str = "emitter";

/// Messages of QoS 1 and 2 that are on their way in one direction, at most (Receive Maximum).
pub(crate) const RECEIVE_MAX: u16 = 1000;

/// Topic aliases in one direction, at most (Topic Alias Maximum).
pub(crate) const TOPIC_ALIAS_MAX: u16 = 32;

/// A setting cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSetting {
    /// The master key is too short, too long, or has other characters.
    #[error("a master key has 16 to 256 characters: letters, digits, - and _")]
    MasterKey,
    /// The text is no licence.
    #[error("this is not an Emitter licence of version 1, 2 or 3")]
    Licence,
    /// The channel of a key is no target.
    #[error("write the channel of a key as a/b/ for one channel, or a/#/ for it and all below")]
    Target,
}

/// What sessions may take that outlive their connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Seconds that a session lasts without a connection, at most, whatever its client asks for. 0 for none at all.
    /// Default: a week.
    pub expiry_secs_max: u32,
    /// Bytes that wait for all clients together. When there are more the oldest messages make room for the
    /// next of the same client, and no further sessions begin. Default: 256 MiB.
    pub bytes_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            expiry_secs_max: 7 * 24 * 60 * 60,
            bytes_max: 256 << 20,
        }
    }
}

/// Which protocols an address offers: the setting `face`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Faces {
    /// Both: the first topic of a connection decides. With [`authenticate`](crate::Emitter::authenticate), clients
    /// with a password speak plain MQTT and others the Emitter protocol.
    #[default]
    Both,
    /// The Emitter protocol alone.
    Emitter,
    /// MQTT with topics as they are.
    Plain,
}
