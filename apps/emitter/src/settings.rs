//! What can be wrong with settings.

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
