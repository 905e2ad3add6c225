//! Settings: how to reach Redis, and how much to keep there.

use std::{fmt, path::PathBuf};

use polywire_core::{PersistenceError, Target};
use redis::{Client, ConnectionAddr, IntoConnectionInfo, TlsCertificates, io::tcp::TcpSettings};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

/// How to reach Redis, and how much to keep there. Every setting has a default.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisStreamSettings {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Default
    /// `redis://localhost:6379`.
    pub url: String,
    /// The password, where it is not in the URL.
    pub password: Option<String>,
    /// A PEM file with the certificates to trust instead of those that the system trusts; for TLS.
    pub ca_file: Option<PathBuf>,
    /// What the names of the streams begin with: `{prefix}channel:{name}` and `{prefix}user:{id}`.
    /// Default `polywire:stream:`.
    pub prefix: String,
    /// Publications that a stream keeps, about. Default 1000.
    pub stream_entries_max: usize,
    /// Publications that may wait. Default 10,000.
    pub queue_entries_max: usize,
    /// Bytes that may wait. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// Milliseconds in which a connection must come about. Default 2000.
    pub connect_timeout_ms: u64,
    /// Milliseconds in which Redis must answer. Default 2000.
    pub response_timeout_ms: u64,
}

impl Default for RedisStreamSettings {
    fn default() -> Self {
        Self {
            url: "redis://localhost:6379".into(),
            password: None,
            ca_file: None,
            prefix: "polywire:stream:".into(),
            stream_entries_max: 1000,
            queue_entries_max: 10_000,
            queue_bytes_max: 64 << 20,
            connect_timeout_ms: 2000,
            response_timeout_ms: 2000,
        }
    }
}

impl RedisStreamSettings {
    /// The server at a `redis://` or `rediss://` URL.
    pub fn url(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// Sets the prefix of the streams' names.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The key of a target's stream.
    pub(super) fn key(&self, target: &Target) -> String {
        match target {
            Target::Channel(channel) => format!("{}channel:{channel}", self.prefix),
            Target::Client(client) => format!("{}user:{client}", self.prefix),
        }
    }

    /// Checks the settings; does not connect.
    pub(super) fn client(&self) -> Result<Client, PersistenceError> {
        let wrong = |what: &str| {
            PersistenceError::Configuration(format!("Settings of the Redis streams: {what}."))
        };
        // The URL itself is not shown: it may hold a password.
        let invalid = || {
            wrong(
                "the url is not valid; write it as redis://[user:password@]host[:port][/database], \
                 or with rediss:// for TLS",
            )
        };
        if !(self.url.starts_with("redis://") || self.url.starts_with("rediss://")) {
            return Err(invalid());
        }
        if self.connect_timeout_ms == 0 || self.response_timeout_ms == 0 {
            return Err(wrong(
                "a timeout is 0, so that nothing would ever be in time; set it to a second or more",
            ));
        }
        let info = self.url.as_str().into_connection_info();
        let info = info.map_err(|_| invalid())?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            polywire_core::cryptography::install();
        }
        let mut access = info.redis_settings().clone();
        if let Some(password) = &self.password {
            access = access.set_password(password);
        }
        let info = info
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(access);
        let Some(file) = &self.ca_file else {
            return Client::open(info).map_err(|_| invalid());
        };
        let bad = |problem: String| {
            let file = file.display();
            wrong(&format!(
                "ca_file {file} {problem}; name a file with certificates in PEM"
            ))
        };
        let root_cert = std::fs::read(file);
        let root_cert = root_cert.map_err(|error| bad(format!("cannot be read ({error})")))?;
        if !matches!(
            CertificateDer::pem_slice_iter(&root_cert).next(),
            Some(Ok(_))
        ) {
            return Err(bad("holds no certificate".into()));
        }
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(root_cert),
        };
        Client::build_with_tls(info, certificates).map_err(|_| invalid())
    }
}

impl fmt::Debug for RedisStreamSettings {
    /// Shows neither the password nor the URL, which may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStreamSettings")
            .field("prefix", &self.prefix)
            .field("stream_entries_max", &self.stream_entries_max)
            .field("queue_entries_max", &self.queue_entries_max)
            .field("queue_bytes_max", &self.queue_bytes_max)
            .finish_non_exhaustive()
    }
}
