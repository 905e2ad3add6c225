//! The settings and their defaults.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use polywire_core::{Limits, PersistenceError, RuleSettings, Rules, TlsOptions};
use polywire_emitter::SessionLimits;
use polywire_persistence::DiskBounds;
use serde::Deserialize;

use super::{
    choice::{AppName, AuthChoice, BackendChoice, FaceChoice, LogFormat, PersistenceChoice},
    text::{Secret, text},
};

/// A configuration that was checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 takes any free one.
    pub port: u16,
    /// The apps that are served on that port: `None` for all of them; with none the port is not opened.
    pub port_apps: Option<Vec<AppName>>,
    /// TLS on that port.
    pub tls: Option<TlsOptions>,
    /// Further addresses to listen on.
    pub listen: Vec<ListenSection>,
    /// Whether the debug APIs are served.
    pub debug: bool,
    /// Whether default secrets and open policies are accepted on an address that others can reach.
    pub trust_network: bool,
    /// The apps to serve.
    pub apps: Vec<AppName>,
    /// What carries messages between processes.
    pub backend: BackendChoice,
    /// Who may use the HTTP APIs.
    pub auth: AuthChoice,
    /// Where messages are kept.
    pub persistence: PersistenceChoice,
    /// The directory of what is kept on disk.
    pub data_dir: Option<PathBuf>,
    /// What to log; `None` leaves it to `debug`.
    pub log: Option<String>,
    /// How to log.
    pub log_format: LogFormat,
    /// Bounds.
    pub limits: Limits,
    /// Settings of the API key policy.
    pub api_key: ApiKeySection,
    /// Settings of the header policy.
    pub header: HeaderSection,
    /// Settings of Redis, as backend and as persistence.
    pub redis: RedisSection,
    /// Settings of the persistence that posts messages.
    pub external_api: ExternalApiSection,
    /// How much is kept of which channels, where history can be read.
    pub history: HistorySection,
    /// Bounds of what is kept on disk.
    pub disk: DiskBounds,
    /// Settings of the apps.
    pub app: AppSections,
}

impl Config {
    /// What to log.
    pub fn log_filter(&self) -> &str {
        match &self.log {
            Some(filter) => filter,
            None if self.debug => {
                "info,polywire=debug,polywire_core=debug,polywire_seth=debug,polywire_pubnub=debug,polywire_backends=debug,polywire_persistence=debug"
            }
            None => "info",
        }
    }
}

/// The settings as they are written, before they are checked.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    #[serde(deserialize_with = "text")]
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) port_apps: Option<Names>,
    pub(super) tls: WrittenTls,
    pub(super) listen: Vec<WrittenListen>,
    pub(super) debug: bool,
    pub(super) trust_network: bool,
    pub(super) app: Names,
    #[serde(deserialize_with = "text")]
    pub(super) backend: String,
    #[serde(deserialize_with = "text")]
    pub(super) auth: String,
    pub(super) persistence: Option<String>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) log: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) log_format: String,
    pub(super) limits: Limits,
    pub(super) api_key: ApiKeySection,
    pub(super) header: HeaderSection,
    pub(super) redis: RedisSection,
    pub(super) external_api: ExternalApiSection,
    pub(super) history: HistorySection,
    pub(super) disk: DiskBounds,
    pub(super) apps: AppSections,
}

/// `[[listen]]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListenSection {
    /// The address.
    pub address: SocketAddr,
    /// The apps that are served there; `None` for all of them.
    pub apps: Option<Vec<AppName>>,
    /// TLS there.
    pub tls: Option<TlsOptions>,
}

/// `[[listen]]`, before it is checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenListen {
    pub(super) address: String,
    #[serde(default)]
    pub(super) apps: Option<Names>,
    #[serde(default)]
    pub(super) tls: WrittenTls,
}

/// `[tls]` and `listen.tls`, before they are checked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WrittenTls {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) only: bool,
}

/// One name, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(name) => name.split(',').map(|name| name.trim().to_owned()).collect(),
            Self::Many(names) => names,
        }
    }
}

impl Default for Written {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: 8080,
            port_apps: None,
            tls: WrittenTls::default(),
            listen: Vec::new(),
            debug: false,
            trust_network: false,
            app: Names::Many(Vec::new()),
            backend: "memory".into(),
            auth: "echo".into(),
            persistence: None,
            data_dir: None,
            log: None,
            log_format: "text".into(),
            limits: Limits::default(),
            api_key: ApiKeySection::default(),
            header: HeaderSection::default(),
            redis: RedisSection::default(),
            external_api: ExternalApiSection::default(),
            history: HistorySection::default(),
            disk: DiskBounds::default(),
            apps: AppSections::default(),
        }
    }
}

/// `[api_key]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKeySection {
    /// The query parameter. Default `api_key`.
    #[serde(deserialize_with = "text")]
    pub key_name: String,
    /// Its value. Default `secret`, which is accepted on loopback only.
    pub key_secret_value: Secret,
}

impl Default for ApiKeySection {
    fn default() -> Self {
        Self {
            key_name: "api_key".into(),
            key_secret_value: Secret::new("secret"),
        }
    }
}

/// `[header]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderSection {
    /// The header. Default `Seth-Authentication-Header`.
    #[serde(deserialize_with = "text")]
    pub secret_header: String,
    /// Its value. Default `Seth-Value`, which is accepted on loopback only.
    pub secret_header_value: Secret,
}

impl Default for HeaderSection {
    fn default() -> Self {
        Self {
            secret_header: "Seth-Authentication-Header".into(),
            secret_header_value: Secret::new("Seth-Value"),
        }
    }
}

/// `[redis]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSection {
    /// What every key and channel in Redis begins with. Default `polywire:`.
    #[serde(deserialize_with = "text")]
    pub prefix: String,
    /// Where `persistence = "redis"` keeps messages when the backend is not Redis. Default
    /// `redis://127.0.0.1:6379/`.
    pub url: Secret,
    /// A PEM file with the certificates to trust, for `rediss://`. Default: those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            prefix: "polywire:".into(),
            url: Secret::new("redis://127.0.0.1:6379/"),
            ca_file: None,
        }
    }
}

/// `[external_api]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExternalApiSection {
    /// Seconds that one post may take. Default 5.
    pub timeout_secs: u64,
    /// Posts of one message after the first. Default 3.
    pub retries_max: u32,
    /// Messages that one post carries at most. With 1, the default, a post is one JSON object, with more an array.
    pub batch_max: usize,
    /// A file of JSON lines for what could not be posted.
    pub dead_letter_file: Option<PathBuf>,
    /// Messages that may wait to be posted. Default 10,000.
    pub queue_messages_max: usize,
    /// Bytes that may wait to be posted. Default 64 MiB.
    pub queue_bytes_max: usize,
}

impl Default for ExternalApiSection {
    fn default() -> Self {
        Self {
            timeout_secs: 5,
            retries_max: 3,
            batch_max: 1,
            dead_letter_file: None,
            queue_messages_max: 10_000,
            queue_bytes_max: 64 << 20,
        }
    }
}

/// `[history]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistorySection {
    /// Bytes that `persistence = "memory"` keeps of all channels together. Default 256 MiB.
    pub memory_bytes_max: usize,
    /// `[[history.rules]]`: how much is kept of which channels. The first whose channels match counts; the one
    /// without channels is for all others. Default: 100,000 messages of a channel, for 7 days.
    pub rules: Vec<RuleSettings>,
}

impl Default for HistorySection {
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 << 20,
            rules: Vec::new(),
        }
    }
}

impl HistorySection {
    /// The rules; a default is among them.
    ///
    /// # Errors
    /// When a rule is not valid.
    pub fn rules(&self) -> Result<Rules, PersistenceError> {
        let mut rules = self.rules.clone();
        if rules.iter().all(|rule| rule.channels.is_some()) {
            rules.push(RuleSettings {
                entries_max: Some(100_000),
                age_max_s: Some(7 * 24 * 60 * 60),
                ..RuleSettings::default()
            });
        }
        RuleSettings::rules(&rules)
    }
}

/// `[apps]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AppSections {
    /// `[apps.seth]`
    pub seth: SethSection,
    /// `[apps.knsock]`
    pub knsock: KnSockSection,
    /// `[apps.pubnub]`
    pub pubnub: PubNubSection,
    /// `[apps.webpubsub]`
    pub webpubsub: WebPubSubSection,
    /// `[apps.emitter]`
    pub emitter: EmitterSection,
}

/// `[apps.seth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SethSection {
    /// Asks the authentication policy for connections to `/connect` too. Default false, as in
    /// Seth-Pusher.
    pub authenticate_connect: bool,
    /// Bytes of an id or a channel name that a client may choose. Default 256.
    pub name_bytes_max: usize,
    /// Sets the JSESSIONID cookie for sticky load balancers. Default false.
    pub cookie: bool,
    /// Polls of a session must come from one address. Default false.
    pub same_address: bool,
    /// Where the iframe page loads sockjs-client from; `None` is a public CDN.
    pub client_url: Option<String>,
}

impl Default for SethSection {
    fn default() -> Self {
        Self {
            authenticate_connect: false,
            name_bytes_max: 256,
            cookie: false,
            same_address: false,
            client_url: None,
        }
    }
}

/// `[apps.knsock]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KnSockSection {
    /// Asks the authentication policy for every connection. Default false, as with kn-sock.
    pub authenticate: bool,
    /// Bytes of a line; a longer one ends its connection. Default 1 MiB.
    pub line_bytes_max: usize,
    /// Bytes of a topic; lines with a longer one are ignored. Default 512.
    pub topic_bytes_max: usize,
}

impl Default for KnSockSection {
    fn default() -> Self {
        Self {
            authenticate: false,
            line_bytes_max: 1 << 20,
            topic_bytes_max: 512,
        }
    }
}

/// `[apps.emitter]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmitterSection {
    /// Asks the authentication policy for every client of plain MQTT, with its password. Default false.
    pub authenticate: bool,
    /// What the common port shows: topics with keys, topics as they are, or both. Default both.
    pub face: FaceChoice,
    /// Makes the keys of channels. Default: a random one, which is shown at the start, or the license.
    pub master_key: Option<Secret>,
    /// The license of an existing Emitter installation, whose keys are accepted.
    pub license: Option<Secret>,
    /// An address for plain MQTT alone.
    pub plain_listen: Option<SocketAddr>,
    /// Topic filters that nobody may subscribe to. Default none.
    pub refused_filters: Vec<String>,
    /// Seconds that a session lasts without a connection, at most. Default a week.
    pub session_expiry_secs_max: u32,
    /// Bytes that wait for all clients that are away. Default 256 MiB.
    pub session_bytes_max: usize,
    /// Seconds between two packets that clients of MQTT 5.0 are told to keep to, at most. Default 0: what they say.
    pub keep_alive_secs_max: u16,
    /// Seconds between two reports on `$SYS` topics; 0 is never. Default 10.
    pub sys_interval_secs: u32,
}

impl Default for EmitterSection {
    fn default() -> Self {
        let sessions = SessionLimits::default();
        Self {
            authenticate: false,
            face: FaceChoice::default(),
            master_key: None,
            license: None,
            plain_listen: None,
            refused_filters: Vec::new(),
            session_expiry_secs_max: sessions.expiry_secs_max,
            session_bytes_max: sessions.bytes_max,
            keep_alive_secs_max: 0,
            sys_interval_secs: 10,
        }
    }
}

/// `[apps.webpubsub]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebPubSubSection {
    /// Signs the tokens of clients and services. Default: a random one, which is shown at the start.
    pub access_key: Option<Secret>,
    /// A second one, which is as good.
    pub secondary_access_key: Option<Secret>,
    /// The hub whose groups are channels as they are. Default `default`.
    #[serde(deserialize_with = "text")]
    pub default_hub: String,
    /// Seconds for which a reliable connection waits for its client. Default 30.
    pub recovery_secs: u64,
    /// Messages that are kept of a reliable connection until they are acknowledged. Default 10,000.
    pub buffer_messages_max: usize,
    /// Bytes of them. Default 16 MiB.
    pub buffer_bytes_max: usize,
    /// The host, with the port where there is one, by which event handlers know this server. Default: the
    /// address that it listens on.
    pub webhook_origin: Option<String>,
    /// Settings of hubs, by their names.
    pub hubs: BTreeMap<String, HubSection>,
}

impl Default for WebPubSubSection {
    fn default() -> Self {
        Self {
            access_key: None,
            secondary_access_key: None,
            default_hub: "default".into(),
            recovery_secs: 30,
            buffer_messages_max: 10_000,
            buffer_bytes_max: 16 << 20,
            webhook_origin: None,
            hubs: BTreeMap::new(),
        }
    }
}

/// `[apps.webpubsub.hubs.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubSection {
    /// Lets clients without a token connect. Default false.
    pub anonymous: bool,
    /// What is called over HTTP: the first that takes an event gets it.
    pub event_handlers: Vec<EventHandlerSection>,
}

/// `[[apps.webpubsub.hubs.NAME.event_handlers]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventHandlerSection {
    /// Where events are posted, with `{hub}` and `{event}` in path and query. It may hold a secret.
    pub url: Secret,
    /// Those of `connect`, `connected` and `disconnected` that are posted. Default none.
    #[serde(default)]
    pub system_events: Vec<String>,
    /// The events of clients that are posted: `*`, or names with commas between them. Default `*`.
    #[serde(default = "all")]
    pub user_events: String,
    /// Posts also to addresses of this machine and of networks nearby. Default false.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// The `Authorization` header of every request to it, such as `Bearer a-secret`. Default none.
    #[serde(default)]
    pub authorization: Option<Secret>,
}

fn all() -> String {
    "*".into()
}

/// `[apps.pubnub]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PubNubSection {
    /// The tenants. Without any there is one with the keys `demo` and `demo`, on loopback only.
    pub key_sets: Vec<KeySetSection>,
    /// Asks the authentication policy for every request, with the client's auth key. Default false.
    pub authenticate: bool,
    /// Seconds that a poll is held when nothing comes. Default 280.
    pub hold_secs: u64,
    /// Bytes of a message with the name of its channel. Default 32 KiB.
    pub message_bytes_max: usize,
    /// Bytes of messages that are kept for clients that ask later. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// Seconds that they are kept. Default 1,200.
    pub queue_secs: u64,
    /// Whether clients that ask for what is not kept in memory any more get it from history. Default true.
    pub catch_up: bool,
    /// Whether it is known who is there. Default true.
    pub presence: bool,
    /// Seconds that a client that says nothing of it is present after its last sign of life. Default 300.
    pub presence_timeout_secs: u64,
    /// Members up to which every coming and going is told of at once. Default 20.
    pub presence_announce_max: usize,
    /// Seconds between events that sum up comings and goings. Default 10.
    pub presence_interval_secs: u64,
}

impl Default for PubNubSection {
    fn default() -> Self {
        Self {
            key_sets: Vec::new(),
            authenticate: false,
            hold_secs: 280,
            message_bytes_max: 32 << 10,
            queue_bytes_max: 64 << 20,
            queue_secs: 1200,
            catch_up: true,
            presence: true,
            presence_timeout_secs: 300,
            presence_announce_max: 20,
            presence_interval_secs: 10,
        }
    }
}

/// `[[apps.pubnub.key_sets]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetSection {
    /// The publish key.
    #[serde(deserialize_with = "text")]
    pub publish_key: String,
    /// The subscribe key.
    #[serde(deserialize_with = "text")]
    pub subscribe_key: String,
    /// The secret key, with which a back end signs.
    #[serde(default)]
    pub secret_key: Option<Secret>,
    /// Lets only those in who have an access token or sign. Default false.
    #[serde(default)]
    pub access_manager: bool,
}
