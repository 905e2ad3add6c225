//! The client for services that policies ask over HTTP: no redirects, no proxy, and answers within bounds.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};

/// The client for a URL. A request, with its answer, takes this long at most.
pub(crate) fn client(url: &Url, timeout: Duration) -> Result<Client, reqwest::Error> {
    polywire_core::cryptography::install();
    let mut builder = Client::builder()
        // A redirect could lead to whoever says what he likes.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(timeout)
        .timeout(timeout);
    if url.scheme() == "http" {
        // Needs no certificates, so it must not fail on a machine that has none.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// A URL that can be asked.
pub(crate) fn url(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let can_be_asked = matches!(url.scheme(), "http" | "https") && url.has_host();
    can_be_asked.then_some(url)
}

/// True for an address that others on the way can read and change.
pub(crate) fn is_open(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    url.scheme() == "http" && !is_here
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("it answers more than {0} bytes")]
    TooLong(usize),
}

/// Sends a request and reads its answer, which may have so many bytes.
pub(crate) async fn ask(
    request: RequestBuilder,
    bytes_max: usize,
) -> Result<(StatusCode, Vec<u8>), NoAnswer> {
    // The address may have a secret in it.
    let unreachable = |error: reqwest::Error| NoAnswer::Unreachable(error.without_url());
    let mut response = request.send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(NoAnswer::TooLong(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status(), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_asked_and_what_is_open() {
        let open = |text: &str| is_open(&url(text).unwrap());
        for here in [
            "http://127.0.0.1:1/a",
            "http://localhost/",
            "http://[::1]/",
            "https://a.b/c",
        ] {
            assert!(!open(here), "{here}");
        }
        for there in [
            "http://10.0.0.1/",
            "http://keys.example.org/",
            "http://localhost.example.org/",
        ] {
            assert!(open(there), "{there}");
        }
        for none in [
            "",
            "/a",
            "ftp://a/b",
            "file:///etc/passwd",
            "http://",
            "data:,x",
        ] {
            assert!(url(none).is_none(), "{none}");
        }
    }
}
