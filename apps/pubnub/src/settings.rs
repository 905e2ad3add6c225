//! Settings of PubNub, and the same as the app uses them.

use std::time::Duration;

use polywire_core::{
    Rights,
    http::AllowedOrigins,
    settings::{Problem, Secret, Settings, text},
};
use serde::Deserialize;

use crate::keys::KeySet;

/// `[apps.pubnub]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct PubNubSection")]
pub struct PubNubSettings {
    /// The tenants, see below. Default: one with the keys `demo` and `demo`, on loopback only.
    pub key_sets: Vec<KeySetSettings>,
    /// Pages of which sites may use the app from a browser: origins such as `https://chat.example`, `same-origin`, `loopback`,
    /// `null`, or `*` for all, see [origins](configuration.md#origins). Default `*` with key sets of your own; with the keys `demo`, `same-origin` and, for browsers on this machine, `loopback` and `null`.
    pub allowed_origins: Option<Vec<String>>,
    /// Asks the authentication policy for every request, with the client's auth key: see [PubNub](protocols/pubnub.md).
    /// Default false.
    pub authenticate: bool,
    /// Seconds that a poll is held when nothing comes; the SDKs give up after 310. Default 280.
    pub hold_secs: u64,
    /// Bytes of a message with the name of its channel. Default 32 KiB.
    pub message_bytes_max: usize,
    /// Bytes of messages that are kept for clients that ask later; the oldest go first. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// Those of one channel, and as many of its presence events. Default 4 MiB.
    pub queue_bytes_per_channel: usize,
    /// Seconds that they are kept. Default 1,200.
    pub queue_secs: u64,
    /// Clients that ask for what is not kept in memory any more get it from history, where there is one. Default true.
    pub catch_up: bool,
    /// Bytes that polls hold which wait, for the channels that they name; one more is answered 429. Default 512 MiB.
    pub held_bytes_max: usize,
    /// Those of polls from one address. Default 128 MiB.
    pub held_bytes_per_address_max: usize,
    /// Whether it is known who is there. Default true.
    pub presence: bool,
    /// Seconds that a client is present after its last sign of life, where it does not say how many. Default 300.
    pub presence_timeout_secs: u64,
    /// Members of a channel up to which every coming and going is told of at once. Default 20.
    pub presence_announce_max: usize,
    /// Seconds between the events that sum up comings and goings on larger channels. Default 10.
    pub presence_interval_secs: u64,
    /// What its clients can reach at most, whatever is granted to them: lists of channels for each right, see
    /// [rights](rights.md). Default everything.
    pub channels: Option<Rights>,
}

impl Default for PubNubSettings {
    fn default() -> Self {
        Self {
            key_sets: Vec::new(),
            allowed_origins: None,
            authenticate: false,
            hold_secs: 280,
            message_bytes_max: 32 << 10,
            queue_bytes_max: 64 << 20,
            queue_bytes_per_channel: 4 << 20,
            queue_secs: 1200,
            catch_up: true,
            held_bytes_max: 512 << 20,
            held_bytes_per_address_max: 128 << 20,
            presence: true,
            presence_timeout_secs: 300,
            presence_announce_max: 20,
            presence_interval_secs: 10,
            channels: None,
        }
    }
}

/// `[[apps.pubnub.key_sets]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "struct KeySetSection")]
pub struct KeySetSettings {
    /// What its publishers are configured with; letters, digits, `-` and `_`.
    #[serde(deserialize_with = "text")]
    pub publish_key: String,
    /// What all of its clients are configured with; letters, digits, `-` and `_`.
    #[serde(deserialize_with = "text")]
    pub subscribe_key: String,
    /// What its back end signs with. Default none.
    #[serde(default)]
    pub secret_key: Option<Secret>,
    /// Lets only those in who have an access token or sign with the secret key. Default false.
    #[serde(default)]
    pub access_manager: bool,
    /// Lets messages be deleted from history, by requests that are signed or with a token that has `delete`. Default false.
    #[serde(default)]
    pub delete_history: bool,
    /// Whether its channels are those of the common space, which all protocols share, or of a domain of its own, see
    /// [domains](protocols/pubnub.md#keys-and-access). Default `true` for the first key set, `false` for others.
    #[serde(default)]
    pub common: Option<bool>,
    /// Members on its channels, on this node; a client above that is served and does not count as present. Default: where there are
    /// several key sets, half of `limits.members_max`.
    #[serde(default)]
    pub members_max: Option<usize>,
}

impl Settings for PubNubSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::zeros([
            ("hold_secs", self.hold_secs == 0),
            ("message_bytes_max", self.message_bytes_max == 0),
            ("queue_bytes_max", self.queue_bytes_max == 0),
            ("queue_bytes_per_channel", self.queue_bytes_per_channel == 0),
            ("queue_secs", self.queue_secs == 0),
            ("held_bytes_max", self.held_bytes_max == 0),
            (
                "held_bytes_per_address_max",
                self.held_bytes_per_address_max == 0,
            ),
            ("presence_timeout_secs", self.presence_timeout_secs == 0),
            ("presence_interval_secs", self.presence_interval_secs == 0),
        ]);
        problems.extend(AllowedOrigins::problem(self.allowed_origins.as_deref()));
        for (index, set) in self.key_sets.iter().enumerate() {
            let found = set.problems(&self.key_sets[..index]);
            let named = found
                .into_iter()
                .map(|problem| problem.within(&format!("key_sets.{index}")));
            problems.extend(named);
        }
        problems
    }
}

impl KeySetSettings {
    fn problems(&self, before: &[Self]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        for (name, key) in [
            ("publish_key", &self.publish_key),
            ("subscribe_key", &self.subscribe_key),
        ] {
            problems.extend(Problem::empty_texts([(name, key.is_empty())]));
            if !key.bytes().all(is_safe) {
                // Keys stand in addresses as they are.
                problems.push(Problem::new(name, "use letters, digits, - and _ only"));
            }
        }
        let secret = self.secret_key.as_ref().map(Secret::reveal);
        problems.extend(Problem::empty_texts([("secret_key", secret == Some(""))]));
        if self.access_manager && secret.is_none() {
            let message = "set secret_key too: without it nobody could grant access";
            problems.push(Problem::new("access_manager", message));
        }
        problems.extend(Problem::zeros([(
            "members_max",
            self.members_max == Some(0),
        )]));
        let same_secret = |other: &Self| other.secret_key.as_ref().map(Secret::reveal) == secret;
        if secret.is_some() && before.iter().any(same_secret) {
            let message = "another key set has the same: its tokens would count here";
            problems.push(Problem::new("secret_key", message));
        }
        let is_same = |other: &Self| other.subscribe_key == self.subscribe_key;
        if before.iter().any(is_same) {
            let message = "another key set has the same";
            problems.push(Problem::new("subscribe_key", message));
        }
        problems
    }
}

impl From<&KeySetSettings> for KeySet {
    fn from(settings: &KeySetSettings) -> Self {
        let keys = Self::new(&settings.publish_key, &settings.subscribe_key)
            .access_manager(settings.access_manager)
            .delete_history(settings.delete_history)
            .members_max(settings.members_max)
            .common(settings.common);
        match &settings.secret_key {
            Some(secret) => keys.secret(secret.reveal()),
            None => keys,
        }
    }
}

/// What can be set beside keys, in the units of the code.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    pub(crate) allowed_origins: Option<Vec<String>>,
    pub(crate) authenticate: bool,
    pub(crate) auth_name: String,
    pub(crate) hold: Duration,
    pub(crate) queue_bytes_max: usize,
    pub(crate) queue_bytes_per_channel: usize,
    pub(crate) queue_age_max: Duration,
    pub(crate) message_bytes_max: usize,
    pub(crate) catch_up: bool,
    pub(crate) held_bytes_max: usize,
    pub(crate) held_bytes_per_address_max: usize,
    pub(crate) presence: bool,
    pub(crate) presence_timeout: Duration,
    pub(crate) announce_max: usize,
    pub(crate) interval: Duration,
}

impl From<&PubNubSettings> for Parameters {
    fn from(settings: &PubNubSettings) -> Self {
        Self {
            allowed_origins: settings.allowed_origins.clone(),
            authenticate: settings.authenticate,
            auth_name: "api_key".into(),
            hold: Duration::from_secs(settings.hold_secs),
            queue_bytes_max: settings.queue_bytes_max,
            queue_bytes_per_channel: settings.queue_bytes_per_channel,
            queue_age_max: Duration::from_secs(settings.queue_secs),
            message_bytes_max: settings.message_bytes_max,
            catch_up: settings.catch_up,
            held_bytes_max: settings.held_bytes_max,
            held_bytes_per_address_max: settings.held_bytes_per_address_max,
            presence: settings.presence,
            presence_timeout: Duration::from_secs(settings.presence_timeout_secs),
            announce_max: settings.presence_announce_max,
            interval: Duration::from_secs(settings.presence_interval_secs),
        }
    }
}
