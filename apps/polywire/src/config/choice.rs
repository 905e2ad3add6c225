//! Settings that choose a part.

use std::str::FromStr;

/// What carries messages between processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendChoice {
    /// Nothing: one process.
    Memory,
    /// Redis at this URL.
    Redis(String),
}

/// A policy that says who somebody is and what they may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthChoice {
    /// Anybody.
    Echo,
    /// Whoever has the key in the query.
    ApiKey,
    /// Whoever has the secret in a header.
    Header,
    /// Whoever has a JSON Web Token.
    Jwt,
    /// Users with their passwords, and programs with their keys.
    Roles,
    /// Whomever a service of one's own knows.
    Http,
}

/// Where messages are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersistenceChoice {
    /// Nowhere.
    None,
    /// In the memory of the process, to be read again while it runs.
    Memory,
    /// On disk, in the data directory.
    Disk,
    /// In Redis; `None` means the Redis of the backend.
    Redis(Option<String>),
    /// They are posted to this URL.
    ExternalApi(String),
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

fn is_redis(text: &str) -> bool {
    let schemes = [
        "redis://",
        "rediss://",
        "redis+sentinel://",
        "rediss+sentinel://",
    ];
    schemes.iter().any(|scheme| text.starts_with(scheme))
}

impl FromStr for BackendChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "memory" => Ok(Self::Memory),
            url if is_redis(url) => Ok(Self::Redis(url.to_owned())),
            _ => Err(
                "use memory, or a URL that begins with redis://, rediss:// or redis+sentinel://"
                    .into(),
            ),
        }
    }
}

impl FromStr for AuthChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "echo" => Ok(Self::Echo),
            "api-key" => Ok(Self::ApiKey),
            "header" => Ok(Self::Header),
            "jwt" => Ok(Self::Jwt),
            "roles" => Ok(Self::Roles),
            "http" => Ok(Self::Http),
            _ => Err("use echo, api-key, header, jwt, roles or http, or a list of them".into()),
        }
    }
}

impl FromStr for PersistenceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "memory" => Ok(Self::Memory),
            "disk" => Ok(Self::Disk),
            "redis" => Ok(Self::Redis(None)),
            url if is_redis(url) => Ok(Self::Redis(Some(url.to_owned()))),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::ExternalApi(url.to_owned()))
            }
            _ => Err(
                "use none, memory, disk, redis, a redis:// URL, or the http:// URL to post to"
                    .into(),
            ),
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("use text or json".into()),
        }
    }
}
