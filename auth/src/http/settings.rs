//! Settings of the policy that asks a service.

use polywire_core::settings::{Problem, Secret, Settings, text};
use serde::Deserialize;

use crate::http_client;

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct HttpSection")]
pub struct HttpSettings {
    /// The address that is asked: `https://…`, or `http://…` on this machine. Default none.
    pub url: Option<String>,
    /// The `Authorization` header of every request to it, such as `Bearer a-secret`. Default none.
    pub authorization: Option<Secret>,
    /// Milliseconds within which it must answer; else nobody is let in. Default 2,000.
    pub timeout_millis: u64,
    /// Seconds that an answer counts for whoever shows the same again; 0 asks each time. Default 10.
    pub cache_secs: u64,
    /// Answers that are remembered, at most. Default 10,000.
    pub cache_entries_max: usize,
    /// Requests to it at once, at most. Default 100.
    pub requests_max: usize,
    /// Bytes of an answer, at most. Default 64 KiB.
    pub answer_bytes_max: usize,
    /// The query parameter with what a client shows, beside `Authorization` and the places that protocols have for it; with an
    /// empty text the query is not looked at. Default `token`.
    #[serde(deserialize_with = "text")]
    pub query: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            url: None,
            authorization: None,
            timeout_millis: 2000,
            cache_secs: 10,
            cache_entries_max: 10_000,
            requests_max: 100,
            answer_bytes_max: 64 << 10,
            query: "token".into(),
        }
    }
}

impl Settings for HttpSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::zeros([
            ("timeout_millis", self.timeout_millis == 0),
            ("requests_max", self.requests_max == 0),
            ("answer_bytes_max", self.answer_bytes_max == 0),
        ]);
        let url = self.url.as_deref().map(http_client::url);
        if url.is_some_and(|url| url.is_none()) {
            let message = "use an address that begins with http:// or https://";
            problems.push(Problem::new("url", message));
        }
        let header = self.authorization.as_ref();
        if header.is_some_and(|text| http::HeaderValue::from_str(text.reveal()).is_err()) {
            let message = "has a character that no header can have";
            problems.push(Problem::new("authorization", message));
        }
        problems
    }
}
