//! A client of HTTP APIs that take a JSON text.

use std::time::Duration;

use polywire::cli::ServerFlags;
use reqwest::{
    Client, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use rustls::ClientConfig;
use tokio::runtime::{self, Runtime};

use super::{ClientError, tls};

/// How long the server may take over one message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Characters of an answer that is no success, for people.
const EXCERPT_CHARS: usize = 200;

pub(crate) struct HttpClient {
    server: String,
    runtime: Runtime,
    client: Client,
    url: Url,
    /// What is posted, for people.
    what: &'static str,
}

impl HttpClient {
    /// Prepares for posting to a path, with these headers and this query.
    pub(crate) fn new(
        flags: &ServerFlags,
        header: &[(HeaderName, HeaderValue)],
        path: &[&str],
        query: Option<&str>,
        what: &'static str,
    ) -> Result<Self, ClientError> {
        let server = &flags.server;
        let (client, scheme) = client(flags, header, Some(TIMEOUT))?;
        let mut url = Url::parse(&format!("{scheme}://{}/", server.authority())).map_err(build)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url.set_query(query);
        Ok(Self {
            server: server.to_string(),
            runtime: runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(build)?,
            client,
            url,
            what,
        })
    }

    /// Posts a JSON text; returns when the server has said that it did what that asks for.
    pub(crate) fn post(&self, message: &str) -> Result<(), ClientError> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(message.to_owned());
        self.runtime.block_on(async {
            let answer = request.send().await.map_err(|error| self.failed(error))?;
            let status = answer.status();
            let text = answer.text().await.map_err(|error| self.failed(error))?;
            if status.is_success() {
                return Ok(());
            }
            let text: String = text.trim().chars().take(EXCERPT_CHARS).collect();
            Err(ClientError::Refused(
                self.what.into(),
                format!("{status} {text}"),
            ))
        })
    }

    fn failed(&self, error: reqwest::Error) -> ClientError {
        // The URL may hold a secret.
        let error = std::io::Error::other(error.without_url());
        ClientError::Unanswered(self.server.clone(), error)
    }
}

/// A client that shows these headers to this server only, and the scheme to use.
pub(super) fn client(
    flags: &ServerFlags,
    header: &[(HeaderName, HeaderValue)],
    timeout: Option<Duration>,
) -> Result<(Client, &'static str), ClientError> {
    let ServerFlags { server, ca, .. } = flags;
    let mut headers = HeaderMap::new();
    for (name, value) in header {
        headers.append(name, value.clone());
    }
    let (scheme, trust) = if server.tls {
        ("https", tls::config(ca.as_deref())?)
    } else {
        ("http", tls::trusting_nobody()?)
    };
    let mut builder = Client::builder()
        .default_headers(headers)
        .connect_timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        // The server is named; a secret shall not go to somebody else first.
        .no_proxy()
        .http1_only()
        .tls_backend_preconfigured(ClientConfig::clone(&trust));
    if let Some(timeout) = timeout {
        builder = builder.timeout(timeout);
    }
    Ok((builder.build().map_err(build)?, scheme))
}

/// What the flags cannot cause is not expected, but not hidden either.
pub(super) fn build(error: impl std::error::Error + Send + Sync + 'static) -> ClientError {
    ClientError::Client(Box::new(error))
}
