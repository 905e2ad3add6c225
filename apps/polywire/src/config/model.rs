//! The settings and their defaults.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use polywire_auth::{ApiKeySettings, HeaderSettings, HttpSettings, JwtSettings, RolesSettings};
use polywire_backends::RedisSection;
use polywire_core::{
    Domain, Limits, PresenceSettings, Rights, Shutdown, TlsOptions, TrustedProxies, settings::text,
};
use polywire_persistence::{DiskBounds, ExternalApiSection, HistorySettings};
use serde::Deserialize;

use super::choice::{AuthChoice, BackendChoice, LogFormat, PersistenceChoice};
use crate::apps::{AppName, AppSections};

/// What carries messages where nothing is said.
pub(super) const DEFAULT_BACKEND: &str = "memory";

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
    /// Proxies that are believed when they say whom they speak for.
    pub trusted_proxies: TrustedProxies,
    /// Whether the debug APIs are served.
    pub debug: bool,
    /// Whether default secrets and open policies are accepted on an address that others can reach.
    pub trust_network: bool,
    /// The apps to serve.
    pub app_names: Vec<AppName>,
    /// What carries messages between processes.
    pub backend: BackendChoice,
    /// The policies that say who somebody is and what they may do; one that lets somebody in is enough.
    pub auth: Vec<AuthChoice>,
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
    /// How the server stops.
    pub shutdown: Shutdown,
    /// Settings of presence.
    pub presence: PresenceSettings,
    /// Settings of the API key policy.
    pub api_key: ApiKeySettings,
    /// Settings of the header policy.
    pub header: HeaderSettings,
    /// Settings of the token policy.
    pub jwt: JwtSettings,
    /// Roles, and the settings of the policy that gives them to users and keys.
    pub roles: RolesSettings,
    /// Settings of the policy that asks a service.
    pub http: HttpSettings,
    /// What somebody without credentials may do, where that is said.
    pub anonymous: Option<Rights>,
    /// Whose clients may use the names of another domain.
    pub bridges: Vec<(Domain, Domain)>,
    /// Settings of Redis, as backend and as persistence.
    pub redis: RedisSection,
    /// Settings of the persistence that posts messages.
    pub external_api: ExternalApiSection,
    /// How much is kept of which channels, where history can be read.
    pub history: HistorySettings,
    /// Bounds of what is kept on disk.
    pub disk: DiskBounds,
    /// Settings of the apps.
    pub sections: AppSections,
}

impl Config {
    /// What to log.
    pub fn log_filter(&self) -> &str {
        match &self.log {
            Some(filter) => filter,
            None if self.debug => {
                // It is the beginning of all names of our crates.
                "info,polywire=debug"
            }
            None => "info",
        }
    }
}

/// `[]`, the settings outside of sections and all sections, before they are checked.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// The IP address to listen on, or `localhost`. Default `127.0.0.1`.
    #[serde(deserialize_with = "text")]
    pub(super) host: String,
    /// The port; 0 takes any free one, which is printed as `listening on http://…`. Default `8080`.
    pub(super) port: u16,
    /// Which of the apps are served on that port; with `[]` it is not opened. Default all.
    pub(super) port_apps: Option<Names>,
    /// `[tls]`
    pub(super) tls: WrittenTls,
    /// `[[listen]]`
    pub(super) listen: Vec<WrittenListen>,
    /// Networks of proxies that are believed when they say whom they speak for, such as `10.0.0.0/8` or `127.0.0.1`, as a text
    /// or a list of them; see [proxies](configuration.md#proxies). Default none.
    pub(super) trusted_proxies: Option<Names>,
    /// Serves the debug APIs and logs more; `--debug` and `--debug=true` are the same. Default false.
    pub(super) debug: bool,
    /// Accepts default secrets and open policies on an address that others can reach. Default false.
    pub(super) trust_network: bool,
    /// The apps to serve, as a name or a list of names. Default all.
    #[serde(rename = "app")]
    pub(super) app_names: Names,
    /// `memory`, or the URL of a Redis: `redis://[[user]:password@]host[:port][/database]`, `rediss://…` with TLS, `redis+sentinel://NAME@host:port,host:port[/database]` where Sentinels name the master;
    /// version 6 or later. Default `memory`.
    #[serde(deserialize_with = "text")]
    pub(super) backend: String,
    /// A file whose first line is the `backend`, so that its password stands in no list of processes. Default none.
    pub(super) backend_file: Option<PathBuf>,
    /// Who somebody is and what they may do: `echo` (anybody everything), `api-key`, `header`, `jwt`, `roles`, `http`, or a list
    /// of which one is enough, asked in that order. See [authentication](authentication.md). Default `echo`.
    pub(super) auth: Names,
    /// Where messages are kept: `none`; `memory`; `disk`; `redis` (the backend's, or the one of `[redis]`); a
    /// `redis://` URL; or an `http://` or `https://` URL to post to. See [history](history.md). Default `disk` with
    /// `data_dir`, `none` with a Redis backend, else `memory`.
    pub(super) persistence: Option<String>,
    /// The directory of `disk`; it is made when it is not there. Default none.
    pub(super) data_dir: Option<PathBuf>,
    /// What to log: `off`, `error`, `warn`, `info`, `debug`, `trace`, or a list such as `info,polywire_core=debug`.
    /// Default `info`.
    pub(super) log: Option<String>,
    /// `text`, or `json` for one object a line; logs go to standard error. Default `text`.
    #[serde(deserialize_with = "text")]
    pub(super) log_format: String,
    /// `[limits]`
    pub(super) limits: Limits,
    /// `[shutdown]`
    pub(super) shutdown: Shutdown,
    /// `[presence]`
    pub(super) presence: PresenceSettings,
    /// `[api_key]`
    pub(super) api_key: ApiKeySettings,
    /// `[header]`
    pub(super) header: HeaderSettings,
    /// `[jwt]`
    pub(super) jwt: JwtSettings,
    /// `[roles]`
    pub(super) roles: RolesSettings,
    /// `[http]`
    pub(super) http: HttpSettings,
    /// `[anonymous]`: what somebody without credentials may do, see [rights](rights.md). Default nothing where a credential is
    /// asked for, and everything at doors that their protocol leaves open, on loopback.
    pub(super) anonymous: Option<Rights>,
    /// `[[bridges]]`
    pub(super) bridges: Vec<WrittenBridge>,
    /// `[redis]`
    pub(super) redis: RedisSection,
    /// `[external_api]`
    pub(super) external_api: ExternalApiSection,
    /// `[history]`
    pub(super) history: HistorySettings,
    /// `[disk]`
    pub(super) disk: DiskBounds,
    /// `[apps]`
    #[serde(rename = "apps")]
    pub(super) sections: AppSections,
}

/// A further address to listen on.
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
    /// An IP address and a port: `127.0.0.1:9000`, `[::1]:9000`; port 0 takes any free one.
    pub(super) address: String,
    /// The apps that are served there, as a name or a list of names. Default all.
    #[serde(default)]
    pub(super) apps: Option<Names>,
    /// `{ certificate = "…", key = "…", only = true }`, as [below](#tls). Default none.
    #[serde(default)]
    pub(super) tls: WrittenTls,
}

/// `[[bridges]]`: lets the clients of one domain use the names of another, where their rights allow it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenBridge {
    /// Whose clients: `common` for those of the common space, `pubnub:SUBSCRIBE-KEY` or `webpubsub:HUB`.
    pub(super) from: String,
    /// Whose names, written in the same way.
    pub(super) to: String,
}

/// `[tls]` and `listen.tls`, before they are checked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WrittenTls {
    /// A PEM file: the server's certificate first, then those that vouch for it. Default none.
    pub(super) certificate: Option<PathBuf>,
    /// A PEM file with its private key: RSA, ECDSA or Ed25519. Default none.
    pub(super) key: Option<PathBuf>,
    /// Refuses connections without TLS; otherwise the port takes both, told apart by the first byte. Default false.
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
            trusted_proxies: None,
            debug: false,
            trust_network: false,
            app_names: Names::Many(Vec::new()),
            backend: DEFAULT_BACKEND.into(),
            backend_file: None,
            auth: Names::One("echo".into()),
            persistence: None,
            data_dir: None,
            log: None,
            log_format: "text".into(),
            limits: Limits::default(),
            shutdown: Shutdown::default(),
            presence: PresenceSettings::default(),
            api_key: ApiKeySettings::default(),
            header: HeaderSettings::default(),
            jwt: JwtSettings::default(),
            roles: RolesSettings::default(),
            http: HttpSettings::default(),
            anonymous: None,
            bridges: Vec::new(),
            redis: RedisSection::default(),
            external_api: ExternalApiSection::default(),
            history: HistorySettings::default(),
            disk: DiskBounds::default(),
            sections: AppSections::default(),
        }
    }
}
