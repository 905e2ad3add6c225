//! Settings: how to reach the API.

use std::{fmt, path::PathBuf, time::Duration};

use polywire_core::PersistenceError;
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, Serialize};

/// How to reach the API, and how long to wait for it. Only the URL has no default.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalApiSettings {
    /// Where publications are posted to: `http://` or `https://`.
    pub url: String,
    /// Publications that may wait. Default 10,000.
    #[serde(default = "queue_entries_max")]
    pub queue_entries_max: usize,
    /// Bytes that may wait. Default 64 MiB.
    #[serde(default = "queue_bytes_max")]
    pub queue_bytes_max: usize,
    /// Publications that one post carries at most. With 1, the default, a post is one JSON object; with more it is a JSON
    /// array of what has come in since the last one, also when that is one.
    #[serde(default = "batch_max")]
    pub batch_max: usize,
    /// Where publications go that could not be posted: a file of JSON lines, to which they are appended. Default:
    /// nowhere, they are lost.
    #[serde(default)]
    pub dead_letter_file: Option<PathBuf>,
    /// Bytes that this file may have; what comes then is lost. Default 256 MiB.
    #[serde(default = "dead_letter_bytes_max")]
    pub dead_letter_bytes_max: u64,
    /// Posts that are under way at once. With more than one, publications may arrive out of order.
    /// Default 1.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// How often one publication is posted at most. Default 5.
    #[serde(default = "attempts_max")]
    pub attempts_max: u32,
    /// Milliseconds before the second attempt; each later pause is twice as long. Default 200.
    #[serde(default = "pause_ms")]
    pub pause_ms: u64,
    /// Milliseconds in which a connection must come about. Default 3000.
    #[serde(default = "connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// Milliseconds that one attempt may take in all. Default 10,000.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

fn queue_entries_max() -> usize {
    10_000
}

fn queue_bytes_max() -> usize {
    64 << 20
}

fn batch_max() -> usize {
    1
}

fn dead_letter_bytes_max() -> u64 {
    256 << 20
}

fn concurrency() -> usize {
    1
}

fn attempts_max() -> u32 {
    5
}

fn pause_ms() -> u64 {
    200
}

fn connect_timeout_ms() -> u64 {
    3000
}

fn timeout_ms() -> u64 {
    10_000
}

impl ExternalApiSettings {
    /// The API at this URL, with defaults for the rest.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            queue_entries_max: queue_entries_max(),
            queue_bytes_max: queue_bytes_max(),
            batch_max: batch_max(),
            dead_letter_file: None,
            dead_letter_bytes_max: dead_letter_bytes_max(),
            concurrency: concurrency(),
            attempts_max: attempts_max(),
            pause_ms: pause_ms(),
            connect_timeout_ms: connect_timeout_ms(),
            timeout_ms: timeout_ms(),
        }
    }

    /// Checks the settings; does not connect.
    pub(super) fn client(&self) -> Result<(Client, Url), PersistenceError> {
        let wrong = |what: &str| {
            PersistenceError::Configuration(format!("Settings of the external API: {what}."))
        };
        let url = Url::parse(&self.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        // The URL itself is not shown: it may hold a secret.
        let url = url.ok_or_else(|| {
            wrong("the url is not valid; write it as https://host/path or http://host/path")
        })?;
        if self.timeout_ms == 0 || self.connect_timeout_ms == 0 {
            return Err(wrong(
                "a timeout is 0, so that nothing would ever be in time; set it to a second or more",
            ));
        }
        polywire_core::cryptography::install();
        let mut builder = Client::builder()
            // A redirect could lead a publication to a place that nobody chose.
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_millis(self.connect_timeout_ms))
            .timeout(Duration::from_millis(self.timeout_ms));
        if url.scheme() == "http" {
            // Needs no certificates, so it must not fail on a machine that has none.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| {
            wrong(&format!(
                "no HTTPS client can be made ({error}); are the system's certificates installed?"
            ))
        })?;
        Ok((client, url))
    }
}

impl fmt::Debug for ExternalApiSettings {
    /// Shows of the URL only the host: the rest may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = Url::parse(&self.url).ok();
        f.debug_struct("ExternalApiSettings")
            .field("host", &url.as_ref().and_then(|url| url.host_str()))
            .field("queue_entries_max", &self.queue_entries_max)
            .field("queue_bytes_max", &self.queue_bytes_max)
            .finish_non_exhaustive()
    }
}
