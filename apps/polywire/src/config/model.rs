//! The settings and their defaults.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use polywire_auth::{ApiKeySettings, HeaderSettings};
use polywire_backends::RedisSection;
use polywire_core::{Limits, TlsOptions, settings::text};
use polywire_persistence::{DiskBounds, ExternalApiSection, HistorySettings};
use serde::Deserialize;

use super::choice::{AuthChoice, BackendChoice, LogFormat, PersistenceChoice};
use crate::apps::{AppName, AppSections};

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
    pub app_names: Vec<AppName>,
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
    pub api_key: ApiKeySettings,
    /// Settings of the header policy.
    pub header: HeaderSettings,
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
    #[serde(rename = "app")]
    pub(super) app_names: Names,
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
    pub(super) api_key: ApiKeySettings,
    pub(super) header: HeaderSettings,
    pub(super) redis: RedisSection,
    pub(super) external_api: ExternalApiSection,
    pub(super) history: HistorySettings,
    pub(super) disk: DiskBounds,
    #[serde(rename = "apps")]
    pub(super) sections: AppSections,
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
            app_names: Names::Many(Vec::new()),
            backend: "memory".into(),
            auth: "echo".into(),
            persistence: None,
            data_dir: None,
            log: None,
            log_format: "text".into(),
            limits: Limits::default(),
            api_key: ApiKeySettings::default(),
            header: HeaderSettings::default(),
            redis: RedisSection::default(),
            external_api: ExternalApiSection::default(),
            history: HistorySettings::default(),
            disk: DiskBounds::default(),
            sections: AppSections::default(),
        }
    }
}
