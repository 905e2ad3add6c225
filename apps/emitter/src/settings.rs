//! Settings of the app, and what can be wrong with them.

use std::net::SocketAddr;

use polywire_core::{
    Rights,
    http::AllowedOrigins,
    settings::{Problem, Secret, Settings},
};
use serde::Deserialize;

use crate::emitter_mode::keys::Licence;

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
        let settings = EmitterSettings::default();
        Self {
            expiry_secs_max: settings.session_expiry_secs_max,
            bytes_max: settings.session_bytes_max,
        }
    }
}

/// `[apps.emitter]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct EmitterSection")]
pub struct EmitterSettings {
    /// Refuses clients of the plain face that show no password. Without it whoever shows none is
    /// [anonymous](rights.md#anonymous-clients). Default false.
    pub authenticate: bool,
    /// What is shown on the addresses of the app: topics with keys (`emitter`), topics as they are (`plain`), or both:
    /// see [Emitter and MQTT](protocols/emitter.md). Default `both`.
    pub face: Faces,
    /// Pages of which sites may use the app from a browser: origins such as `https://chat.example`, `same-origin`, `loopback`,
    /// `null`, or `*` for all, see [origins](configuration.md#origins). Default `*` where clients show keys or passwords (`face = "emitter"`, or `authenticate`); else `same-origin` and, for browsers on this machine, `loopback` and `null`.
    pub allowed_origins: Option<Vec<String>>,
    /// Makes the keys of channels: 16 to 256 letters, digits, `-` and `_`; the same on all nodes. Another one ends all
    /// keys that were made. Default: a random one, shown at the start, or the `license`.
    pub master_key: Option<Secret>,
    /// The licence of an existing Emitter installation, whose keys are accepted; without a `master_key` it signs new
    /// ones. Default none.
    pub license: Option<Secret>,
    /// An IP address and a port for MQTT with topics as they are, such as `127.0.0.1:1883`. Default none.
    pub plain_listen: Option<SocketAddr>,
    /// Topic filters that nobody may subscribe to, such as `#`: as they are written, without the key and the last slash
    /// on the Emitter face. Default none.
    pub refused_filters: Vec<String>,
    /// Seconds that a session of MQTT lasts without a connection, at most, whatever its client asks for; 0 for none.
    /// Default a week.
    pub session_expiry_secs_max: u32,
    /// Bytes that wait for all clients that are away; when there are more, the oldest for a client make room for what
    /// comes, and no further session begins. Default 256 MiB.
    pub session_bytes_max: usize,
    /// Bytes that the subscriptions of one connection may take: each counts its filter and 512, which makes about 15,000
    /// of them in 8 MiB; one more is refused. Default 8 MiB.
    pub subscription_bytes_max: usize,
    /// The QoS that messages of other protocols count as, where messages are kept: 1, so that they wait for sessions whose
    /// client is away, or 0. Default 1.
    pub other_protocols_qos: u8,
    /// Seconds between two packets that clients of MQTT 5.0 are told to keep to where they would take longer; 0 for
    /// what they say. Default 0.
    pub keep_alive_secs_max: u16,
    /// Seconds between two reports on the `$SYS` topics that somebody subscribed to; 0 is never, and there are none.
    /// Default 10.
    pub sys_interval_secs: u32,
    /// What its clients can reach at most, whatever is granted to them: lists of channels for each right, see
    /// [rights](rights.md). Default everything.
    pub channels: Option<Rights>,
}

/// Which protocols an address offers: the setting `face`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "enum FaceChoice")]
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

impl Default for EmitterSettings {
    fn default() -> Self {
        Self {
            authenticate: false,
            face: Faces::default(),
            allowed_origins: None,
            master_key: None,
            license: None,
            plain_listen: None,
            refused_filters: Vec::new(),
            session_expiry_secs_max: 7 * 24 * 60 * 60,
            session_bytes_max: 256 << 20,
            subscription_bytes_max: 8 << 20,
            other_protocols_qos: 1,
            keep_alive_secs_max: 0,
            sys_interval_secs: 10,
            channels: None,
        }
    }
}

impl Settings for EmitterSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(AllowedOrigins::problem(self.allowed_origins.as_deref()));
        if let Some(key) = &self.master_key
            && let Err(error) = check_master_key(key.reveal())
        {
            problems.push(Problem::new("master_key", error.to_string()));
        }
        if self.other_protocols_qos > 1 {
            let message =
                "is 0 or 1: other protocols cannot promise that a message comes exactly once";
            problems.push(Problem::new("other_protocols_qos", message));
        }
        if let Some(license) = &self.license
            && Licence::parse(license.reveal()).is_err()
        {
            let message = InvalidSetting::Licence.to_string();
            problems.push(Problem::new("license", message));
        }
        problems
    }

    fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let address = self.plain_listen.map(|address| ("plain_listen", address));
        address.into_iter().collect()
    }
}

/// What a master key looks like, so that it can stand in addresses.
pub(crate) fn check_master_key(key: &str) -> Result<(), InvalidSetting> {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (16..=256).contains(&key.len()) && key.bytes().all(is_safe) {
        Ok(())
    } else {
        Err(InvalidSetting::MasterKey)
    }
}
