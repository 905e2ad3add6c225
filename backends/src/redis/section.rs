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
    /// The user at the Sentinels of a `redis+sentinel://` URL. Default none.
    pub sentinel_username: Option<String>,
    /// The password at the Sentinels of a `redis+sentinel://` URL. Default none.
    pub sentinel_password: Option<Secret>,
    /// Replicas that must have a message before its publisher is answered: then nothing that was acknowledged is lost when
    /// Sentinel makes one of them the master. While there are fewer, publishers are answered 503. Default 0.
    pub replicas_min: u32,
    /// A PEM file with the certificates to trust where a URL begins with `rediss`. Default: those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            prefix: RedisSettings::default().prefix,
            url: Secret::new("redis://127.0.0.1:6379/"),
            sentinel_username: None,
            sentinel_password: None,
            replicas_min: 0,
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
        settings.ca_file.take_if(|_| !url.starts_with("rediss"));
        let password = self.sentinel_password.as_ref();
        settings.sentinel_password = password.map(|password| password.reveal().to_owned());
        settings
            .sentinel_username
            .clone_from(&self.sentinel_username);
        settings.replicas_min = self.replicas_min;
        settings
    }
}

/// What is wrong is found when a URL is known.
impl Settings for RedisSection {
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}
