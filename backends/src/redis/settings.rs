//! Settings of the connection to Redis.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use polywire_core::BackendError;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates,
    io::tcp::TcpSettings,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use super::connector::{Connector, Sentinels};

/// How to reach Redis, and how long to wait for it. Every setting has a default.
///
/// # Examples
/// ```
/// use polywire_backends::{Redis, RedisSettings};
///
/// let settings = RedisSettings::url("rediss://user:secret@redis.example.com:6380/2").prefix("chat:");
/// assert!(!format!("{settings:?}").contains("secret"));
/// let backend = Redis::new(settings).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Where Sentinels name the master:
    /// `redis+sentinel://[user:password@]NAME@host:port,host:port[/database]`, or `rediss+sentinel://`; user and password
    /// are those of the Redis servers. Takes the place of
    /// `host` and `port`; the other settings, where they are given, win over what it says.
    pub url: Option<String>,
    /// The host. Default `localhost`.
    pub host: Option<String>,
    /// The port. Default 6379.
    pub port: Option<u16>,
    /// The number of the database.
    pub database: Option<i64>,
    /// The user, where the server has several.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The user at the Sentinels, where they ask for one.
    pub sentinel_username: Option<String>,
    /// The password at the Sentinels, where they ask for one.
    pub sentinel_password: Option<String>,
    /// Replicas that must have a publication before its publisher is answered: then nothing that was acknowledged is lost
    /// when one of them becomes the master. While there are fewer, publishers are answered that it may be lost. Default 0.
    pub replicas_min: u32,
    /// A PEM file with the certificates to trust instead of those that the system trusts; for TLS.
    pub ca_file: Option<PathBuf>,
    /// What the names of all keys and channels begin with, so that several systems can share one
    /// server. Default `polywire:`.
    pub prefix: String,
    /// Milliseconds in which a connection must come about. Default 2000.
    pub connect_timeout_ms: u64,
    /// Milliseconds in which a command must be answered; after that the connection counts as lost.
    /// Default 2000.
    pub response_timeout_ms: u64,
    /// Milliseconds between heartbeats, which the node publishes to itself and has to hear: after two that did not come the
    /// connection is made again. Default 1000.
    pub keepalive_ms: u64,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            database: None,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            replicas_min: 0,
            ca_file: None,
            prefix: "polywire:".into(),
            connect_timeout_ms: 2000,
            response_timeout_ms: 2000,
            keepalive_ms: 1000,
        }
    }
}

impl RedisSettings {
    /// The server at a `redis://` or `rediss://` URL.
    pub fn url(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// The server at a host and port.
    pub fn host(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: Some(host.into()),
            port: Some(port),
            ..Self::default()
        }
    }

    /// Sets the prefix of all names.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the password.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets the file with the certificates to trust, for TLS.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Sets the number of the database.
    #[must_use]
    pub fn database(mut self, database: i64) -> Self {
        self.database = Some(database);
        self
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    pub(super) fn keepalive(&self) -> Duration {
        Duration::from_millis(self.keepalive_ms)
    }

    /// Checks the settings; does not connect.
    pub(super) fn connector(&self) -> Result<Connector, BackendError> {
        let waits = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("response_timeout_ms", self.response_timeout_ms),
            ("keepalive_ms", self.keepalive_ms),
        ];
        if let Some((name, _)) = waits.iter().find(|(_, value)| *value == 0) {
            return Err(wrong(format!(
                "{name} is 0, so that nothing would ever be in time; set it to a second or more"
            )));
        }
        let (info, sentinels) = self.address()?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            polywire_core::cryptography::install();
        }
        // Pushes, which tell of a lost connection, exist in this version of the protocol only.
        let mut access = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        if let Some(username) = &self.username {
            access = access.set_username(username);
        }
        if let Some(password) = &self.password {
            access = access.set_password(password);
        }
        if let Some(database) = self.database {
            access = access.set_db(database);
        }
        if access.db() < 0 {
            return Err(wrong("the number of the database must not be negative"));
        }
        let info = info
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(access);
        let certificates = self.trusted()?;
        if let Some((master, addresses)) = sentinels {
            return Ok(Connector::Sentinel(Arc::new(Sentinels {
                addresses,
                master,
                is_tls: matches!(info.addr(), ConnectionAddr::TcpTls { .. }),
                redis: info,
                username: self.sentinel_username.clone(),
                password: self.sentinel_password.clone(),
                certificates,
            })));
        }
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(info, certificates),
            None => Client::open(info),
        };
        let client = client.map_err(|error| wrong(format!("{error}")))?;
        Ok(Connector::Server(Arc::new(client)))
    }

    /// The certificates of the CA file, where there is one.
    fn trusted(&self) -> Result<Option<TlsCertificates>, BackendError> {
        let Some(file) = &self.ca_file else {
            return Ok(None);
        };
        let bad = |problem: String| {
            wrong(format!(
                "ca_file {} {problem}; name a file with certificates in PEM",
                file.display()
            ))
        };
        let root_cert =
            std::fs::read(file).map_err(|error| bad(format!("cannot be read ({error})")))?;
        if !matches!(
            CertificateDer::pem_slice_iter(&root_cert).next(),
            Some(Ok(_))
        ) {
            return Err(bad("holds no certificate".into()));
        }
        Ok(Some(TlsCertificates {
            client_tls: None,
            root_cert: Some(root_cert),
        }))
    }

    fn address(&self) -> Result<Address, BackendError> {
        let Some(url) = &self.url else {
            let host = self.host.clone().unwrap_or_else(|| "localhost".into());
            let port = self.port.unwrap_or(6379);
            let info = (host, port).into_connection_info();
            let info = info.map_err(|error| wrong(format!("{error}")))?;
            return Ok((info, None));
        };
        if self.host.is_some() || self.port.is_some() {
            return Err(wrong(
                "both url and host or port are set; remove one, they mean the same",
            ));
        }
        // The URL itself is not shown: it may hold a password.
        let how = "write it as redis://[user:password@]host[:port][/database], \
                   or with rediss:// for TLS";
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        if let Some(plain) = scheme.strip_suffix("+sentinel")
            && matches!(plain, "redis" | "rediss")
        {
            let how = "write it as redis+sentinel://[user:password@]NAME@host:port,host:port[/database], or with \
                       rediss+sentinel:// for TLS";
            return sentinel_address(plain, rest)
                .ok_or_else(|| wrong(format!("the url is not one of Sentinels; {how}")));
        }
        if !matches!(scheme, "redis" | "rediss") {
            return Err(wrong(format!("the url is not one of Redis; {how}")));
        }
        let query = url.split_once('?').map_or("", |(_, query)| query);
        if query.split('&').any(|option| option == "cluster=true") {
            return Err(wrong(
                "Redis Cluster is not supported, since its nodes have a part of the channels each; name a Redis \
                 that is none",
            ));
        }
        let info = url.as_str().into_connection_info();
        let info = info.map_err(|_| wrong(format!("the url is not valid; {how}")))?;
        Ok((info, None))
    }
}

/// How to use the server, and where Sentinels name it the name of the master and their addresses.
type Address = (ConnectionInfo, Option<(String, Vec<ConnectionAddr>)>);

/// What stands behind the scheme of a URL of Sentinels.
fn sentinel_address(scheme: &str, rest: &str) -> Option<Address> {
    let (rest, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (before, hosts) = rest.rsplit_once('@')?;
    let (credentials, name) = match before.rsplit_once('@') {
        Some((credentials, name)) => (format!("{credentials}@"), name),
        None => (String::new(), before),
    };
    let addresses: Option<Vec<_>> = hosts
        .split(',')
        .map(|host| {
            let port = if host.contains(':') { "" } else { ":26379" };
            let info = format!("{scheme}://{host}{port}").into_connection_info();
            Some(info.ok()?.addr().clone())
        })
        .collect();
    // The address is that of a Sentinel, and stands for the master, whose address is not known yet.
    let first = hosts.split(',').next()?;
    let info = format!("{scheme}://{credentials}{first}/{database}").into_connection_info();
    (!name.is_empty()).then_some((info.ok()?, Some((name.to_owned(), addresses?))))
}

fn wrong(what: impl fmt::Display) -> BackendError {
    BackendError::Configuration(format!("Redis settings: {what}."))
}

impl fmt::Debug for RedisSettings {
    /// Shows neither the password nor the URL, which may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |value: &Option<String>| value.as_ref().map(|_| "***");
        f.debug_struct("RedisSettings")
            .field("url", &hidden(&self.url))
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("username", &self.username)
            .field("password", &hidden(&self.password))
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(settings: &RedisSettings) -> String {
        match settings.connector() {
            Err(BackendError::Configuration(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_setting_is_named_and_no_password_shown() {
        for url in [
            "http://u:hunter2@host",
            "redis://:hunter2@",
            "redis://:hunter2@host:port",
            "redis://:hunter2@host/first",
            "redis://:hunter2@host/-1",
        ] {
            let text = problem(&RedisSettings::url(url));
            assert!(text.ends_with('.') && !text.contains("hunter2"), "{text}");
        }
        let mut both = RedisSettings::url("redis://host");
        both.port = Some(1);
        assert!(problem(&both).contains("both"));
        let here = RedisSettings::url("rediss://host").ca_file(file!());
        assert!(problem(&here).contains("ca_file"));
        let cluster = problem(&RedisSettings::url("redis://host?a=1&cluster=true"));
        assert!(cluster.contains("Cluster"), "{cluster}");
        let hasty = RedisSettings {
            response_timeout_ms: 0,
            ..RedisSettings::default()
        };
        assert!(problem(&hasty).contains("response_timeout_ms"));
    }

    #[test]
    fn what_is_given_beside_the_url_wins() {
        let settings = RedisSettings::url("rediss://ann:first@host/3").password("second");
        let access = client(&settings)
            .get_connection_info()
            .redis_settings()
            .clone();
        assert_eq!(access.username(), Some("ann"));
        assert_eq!(access.password(), Some("second"));
        assert_eq!(access.db(), 3);
        let client = client(&settings.database(4));
        assert_eq!(client.get_connection_info().redis_settings().db(), 4);
    }

    fn client(settings: &RedisSettings) -> Client {
        match settings.connector() {
            Ok(Connector::Server(client)) => (*client).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sentinels_are_named_with_the_master() {
        let url = "rediss+sentinel://ann:secret@main@one:1,two,[::1]:3/5";
        let sentinels = match RedisSettings::url(url).connector() {
            Ok(Connector::Sentinel(sentinels)) => sentinels,
            other => panic!("{other:?}"),
        };
        let addresses: Vec<_> = sentinels
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(addresses, ["one:1", "two:26379", "::1:3"]);
        let access = sentinels.redis.redis_settings();
        assert_eq!((access.username(), access.db()), (Some("ann"), 5));
        assert_eq!((&*sentinels.master, sentinels.is_tls), ("main", true));
        for url in [
            "redis+sentinel://one:1",
            "redis+sentinel://@one:1",
            "redis+sentinel://main@",
            "redis+sentinel://main@one:x",
            "redis+sentinel://u:hunter2@main@one:1/first",
        ] {
            let text = problem(&RedisSettings::url(url));
            assert!(text.contains("redis+sentinel://[user"), "{text}");
            assert!(!text.contains("hunter2"));
        }
    }
}
