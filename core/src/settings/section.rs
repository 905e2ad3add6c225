//! A section of a configuration.

use std::net::SocketAddr;

use serde::de::DeserializeOwned;

use super::Problem;

/// A section of a configuration: what can be set of one part, with a default for everything.
///
/// # Examples
/// ```
/// use polywire_core::settings::{Problem, Settings};
/// use serde::Deserialize;
///
/// /// `[apps.echo]`
/// #[derive(Debug, Clone, Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct EchoSettings {
///     /// Bytes of a line; a longer one ends its connection. Default 1 KiB.
///     line_bytes_max: usize,
/// }
///
/// impl Default for EchoSettings {
///     fn default() -> Self {
///         Self { line_bytes_max: 1024 }
///     }
/// }
///
/// impl Settings for EchoSettings {
///     fn problems(&self) -> Vec<Problem> {
///         Problem::zeros([("line_bytes_max", self.line_bytes_max == 0)])
///     }
/// }
///
/// assert!(EchoSettings::default().problems().is_empty());
/// ```
pub trait Settings: DeserializeOwned + Default {
    /// Everything that is wrong, each with the name of its setting within the section.
    fn problems(&self) -> Vec<Problem>;

    /// Addresses that the part listens on beside those of the server, each with the name of its setting. They
    /// must be free, and the part must be one that is served.
    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        Vec::new()
    }
}

/// For parts that have nothing to set.
impl Settings for () {
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}
