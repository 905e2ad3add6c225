//! Rules for the head of a request that hyper leaves to its user: RFC 9112 sections 3.2 and 6.1.

use http::{
    HeaderMap, StatusCode, Version,
    header::{CONNECTION, HOST, TRANSFER_ENCODING},
    uri::Authority,
};

use super::{Response, text};
use crate::{runtime::Runtime, transport::transfer_coding::is_chunked};

/// The answer to a head that breaks a rule. The connection ends with it: where its next request begins is not sure.
pub(super) fn refusal(version: Version, headers: &HeaderMap) -> Option<Response> {
    if !names_one_host(version, headers) {
        let sentence = "A request names the host that it is for, once: Host: name[:port].\n";
        return Some(last(text(StatusCode::BAD_REQUEST, sentence)));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |value: &http::HeaderValue| is_chunked(value.as_bytes());
    match (codings.next(), codings.next()) {
        (None, _) => None,
        (Some(coding), None) if is_chunked(coding) => None,
        _ => Some(unknown_coding()),
    }
}

/// The answer to a transfer coding other than `chunked`.
pub(super) fn unknown_coding() -> Response {
    let sentence = "The only transfer coding that is known here is chunked.\n";
    last(text(StatusCode::NOT_IMPLEMENTED, sentence))
}

/// Whether the host of a request is named as its version asks for. HTTP/1.0 does not ask for one.
pub(super) fn names_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// True for a name or an address, with a port or without.
fn is_host(host: &[u8]) -> bool {
    let host = host.trim_ascii();
    let Ok(authority) = Authority::try_from(host) else {
        return false;
    };
    let name = authority.host();
    let port = &host[name.len().min(host.len())..];
    let is_port = |port: &[u8]| port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit);
    !name.is_empty() && host.starts_with(name.as_bytes()) && (port.is_empty() || is_port(port))
}

/// Counts a request of a client from whose address too many connections are open, through proxies, and says so in a sentence.
pub(super) fn too_many_connections(runtime: &Runtime) -> &'static str {
    let reason = "refused a request: too many connections are open from the client of a proxy";
    runtime.counters().of("server", reason).add();
    "Too many connections are open from your address.\n"
}

/// The answer that says this, or another sentence; the connection ends with it.
pub(super) fn unavailable(sentence: &'static str) -> Response {
    last(text(StatusCode::SERVICE_UNAVAILABLE, sentence))
}

fn last(mut answer: Response) -> Response {
    let close = http::HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(version: Version, lines: &[(&'static str, &'static str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let refusal = refusal(version, &headers)?;
        assert_eq!(refusal.headers()[CONNECTION], "close");
        Some(refusal.status().as_u16())
    }

    #[test]
    fn one_host_is_named() {
        for host in ["a", "a.example:80", "127.0.0.1", "[::1]:8080", " a ", "a_b"] {
            assert_eq!(status(Version::HTTP_11, &[("host", host)]), None, "{host}");
        }
        for host in [
            "", " ", "a b", "a/b", "me@a", ":80", "a:b", "http://a", "a,b c",
        ] {
            assert_eq!(
                status(Version::HTTP_11, &[("host", host)]),
                Some(400),
                "{host}"
            );
            assert_eq!(
                status(Version::HTTP_10, &[("host", host)]),
                Some(400),
                "{host}"
            );
        }
        assert_eq!(status(Version::HTTP_11, &[]), Some(400));
        assert_eq!(status(Version::HTTP_10, &[]), None);
        let two = [("host", "a"), ("host", "a")];
        assert_eq!(status(Version::HTTP_11, &two), Some(400));
    }

    #[test]
    fn chunked_is_the_only_coding() {
        let coding = |value| {
            status(
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", value)],
            )
        };
        assert_eq!(coding("Chunked"), None);
        for other in ["gzip", "gzip, chunked", "chunked, chunked", "identity", ""] {
            assert_eq!(coding(other), Some(501), "{other}");
        }
        let two = [
            ("host", "a"),
            ("transfer-encoding", "gzip"),
            ("transfer-encoding", "chunked"),
        ];
        assert_eq!(status(Version::HTTP_11, &two), Some(501));
    }
}
