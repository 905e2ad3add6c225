//! Redis as a configuration file sets it, for the backend and for what it keeps.

use std::path::PathBuf;

use polywire_core::settings::{Problem, Secret, Settings, text};
use serde::Deserialize;

use super::RedisSettings;

/// `[redis]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSection {
    /// What every key and channel in Redis begins with; processes that shall share a channel space have the same.
    /// Default `polywire:`.
    #[serde(deserialize_with = "text")]
    pub prefix: String,
    /// Where `persistence = "redis"` keeps messages when the backend is not Redis. Default
    /// `redis://127.0.0.1:6379/`.
    pub url: Secret,
    /// A PEM file with the certificates to trust where a URL begins with `rediss://`. Default: those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            prefix: RedisSettings::default().prefix,
            url: Secret::new("redis://127.0.0.1:6379/"),
            ca_file: None,
        }
    }
}

impl RedisSection {
    /// The server at this URL, with the rest as it is set here.
    pub fn settings(&self, url: &str) -> RedisSettings {
        let mut settings = RedisSettings::url(url).prefix(&self.prefix);
        // Without TLS nobody is asked.
        settings.ca_file = self.ca_file.clone();
        settings.ca_file.take_if(|_| !url.starts_with("rediss://"));
        settings
    }
}

/// What is wrong is found when a URL is known.
impl Settings for RedisSection {
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}
