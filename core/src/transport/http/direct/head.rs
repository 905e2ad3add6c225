//! The head of a request.

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header, uri::PathAndQuery};

use crate::transport::http::head_rules::names_one_host;

/// Bytes of a head that are kept until it is complete; a longer one is left to hyper.
pub const HEAD_BYTES_MAX: usize = 32 << 10;

/// Headers of a request; one with more is left to hyper.
const HEADERS_MAX: usize = 32;

/// What every request begins with that is taken. Other forms of a target are left to hyper.
const GET: &[u8] = b"GET /";

/// The head of a GET request that has no body and asks for nothing but its answer. All of it shares the memory
/// of the bytes that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The path, percent-encoded as it came.
    pub path: ByteString,
    /// The query without `?`, percent-encoded as it came.
    pub query: ByteString,
    /// The headers.
    pub headers: HeaderMap,
    /// How it wants to be answered.
    pub terms: Terms,
}

/// What an answer has to say of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The client speaks HTTP/1.0.
    pub is_old: bool,
    /// Another request may follow.
    pub keep_alive: bool,
}

/// What the bytes of a connection begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Part of a head that may be taken.
    Partial,
    /// A head that is taken, and how many bytes it has.
    Complete(Head, usize),
    /// Something else: another method, a body, an upgrade, an error, or a path that is not wanted.
    Other,
}

/// Reads the head that `bytes` begin with, if its path is wanted.
pub fn parse(bytes: &Bytes, wanted: impl FnOnce(&str) -> bool) -> Parsed {
    let begun = bytes.len().min(GET.len());
    if bytes[..begun] != GET[..begun] {
        return Parsed::Other;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Parsed::Partial,
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => {
            match Head::of(bytes, &request, wanted) {
                Some(head) => Parsed::Complete(head, length),
                None => Parsed::Other,
            }
        }
        _ => Parsed::Other,
    }
}

impl Head {
    fn of(
        bytes: &Bytes,
        request: &httparse::Request<'_, '_>,
        wanted: impl FnOnce(&str) -> bool,
    ) -> Option<Self> {
        let target = bytes.slice_ref(request.path?.as_bytes());
        let target = PathAndQuery::from_maybe_shared(target).ok()?;
        if !wanted(target.path()) {
            return None;
        }
        // Both are texts: they were one.
        let part = |text: &str| ByteString::try_from(bytes.slice_ref(text.as_bytes())).ok();
        let is_old = request.version? == 0;
        let mut headers = HeaderMap::with_capacity(request.headers.len());
        let (mut asks_to_keep, mut asks_to_close) = (false, false);
        for header in &*request.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            let value = HeaderValue::from_maybe_shared(bytes.slice_ref(header.value)).ok()?;
            match name {
                header::CONTENT_LENGTH
                | header::TRANSFER_ENCODING
                | header::EXPECT
                | header::UPGRADE => return None,
                header::CONNECTION => {
                    asks_to_keep |= has_token(&value, "keep-alive");
                    asks_to_close |= has_token(&value, "close");
                }
                _ => {}
            }
            headers.append(name, value);
        }
        let version = if is_old {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        };
        if !names_one_host(version, &headers) {
            return None;
        }
        Some(Self {
            path: part(target.path())?,
            query: part(target.query().unwrap_or_default())?,
            headers,
            terms: Terms {
                is_old,
                keep_alive: !asks_to_close && (!is_old || asks_to_keep),
            },
        })
    }
}

fn has_token(value: &HeaderValue, wanted: &str) -> bool {
    let tokens = value.to_str().unwrap_or_default().split(',');
    let mut tokens = tokens.map(str::trim);
    tokens.any(|token| token.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Option<Head> {
        match parse(&Bytes::copy_from_slice(text.as_bytes()), |path| {
            path.starts_with("/poll")
        }) {
            Parsed::Complete(head, length) => {
                assert_eq!(length, text.len());
                Some(head)
            }
            Parsed::Partial => panic!("{text:?} is complete"),
            Parsed::Other => None,
        }
    }

    #[test]
    fn a_head_is_read() {
        let text = "GET /poll/a%2Fb?c=d&e#f HTTP/1.1\r\nHost: here\r\nX-A: 1\r\nx-a: 2\r\n\r\n";
        let head = head(text).unwrap();
        assert_eq!(head.path, "/poll/a%2Fb");
        assert_eq!(head.query, "c=d&e");
        let values: Vec<_> = head.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert!(head.terms.keep_alive && !head.terms.is_old);
    }

    #[test]
    fn what_follows_a_request_is_agreed() {
        let keeps = |version: &str, connection: &str| {
            let text = format!("GET /poll HTTP/{version}\r\nHost: h\r\n{connection}\r\n");
            head(&text).unwrap().terms.keep_alive
        };
        assert!(keeps("1.1", ""));
        assert!(keeps("1.1", "Connection: keep-alive\r\n"));
        assert!(!keeps("1.1", "Connection: Close\r\n"));
        assert!(!keeps("1.1", "connection: x , close\r\n"));
        let both = "Connection: close\r\nConnection: keep-alive\r\n";
        assert!(!keeps("1.1", both) && !keeps("1.0", both));
        assert!(!keeps("1.0", ""));
        assert!(keeps("1.0", "Connection: Keep-Alive\r\n"));
    }

    #[test]
    fn what_is_not_for_the_short_way_is_left() {
        for begin in ["POST /poll", "GET /other", "GET http://h/poll", "get /poll"] {
            let text = format!("{begin} HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(head(&text), None, "{begin}");
        }
        for header in [
            "Content-Length: 0",
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            "Upgrade: websocket",
            "Host: another",
            "no header",
            " : folded",
        ] {
            let text = format!("GET /poll HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n");
            assert_eq!(head(&text), None, "{header}");
        }
        assert_eq!(head("GET /poll HTTP/1.1\r\n\r\n"), None);
        assert_eq!(head("GET /poll HTTP/1.1\r\nHost: a b\r\n\r\n"), None);
        assert_eq!(head("GET /poll HTTP/2.0\r\nHost: h\r\n\r\n"), None);
        assert_eq!(head("GET /poll<> HTTP/1.1\r\nHost: h\r\n\r\n"), None);
        let many = format!(
            "GET /poll HTTP/1.1\r\nHost: h\r\n{}\r\n",
            "a: b\r\n".repeat(32)
        );
        assert_eq!(head(&many), None);
    }

    #[test]
    fn a_head_that_is_too_long_is_left() {
        let text = format!("GET /poll?{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        let text = Bytes::from(text);
        let begin = |bytes| parse(&text.slice(..bytes), |_| true);
        assert_eq!(begin(HEAD_BYTES_MAX - 1), Parsed::Partial);
        assert_eq!(begin(HEAD_BYTES_MAX), Parsed::Other);
        assert_eq!(begin(text.len()), Parsed::Other);
    }

    proptest! {
        #[test]
        fn every_part_of_a_head_is_partial(
            path in "/[a-z0-9%.,/]{0,40}",
            query in "[a-z0-9=&%]{0,40}",
            headers in proptest::collection::vec("[A-Za-z][A-Za-z-]{0,10}: [ -~]{0,20}", 0..6),
            rest in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            let text = format!("GET {path}?{query} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
            let stream = Bytes::from([text.as_bytes(), &rest].concat());
            let begin = |end| parse(&stream.slice(..end), |_| true);
            let whole = begin(stream.len());
            for end in 0..text.len() {
                prop_assert_eq!(begin(end), Parsed::Partial);
            }
            for end in text.len()..stream.len() {
                prop_assert_eq!(&begin(end), &whole);
            }
            if let Parsed::Complete(head, length) = whole {
                prop_assert_eq!(length, text.len());
                prop_assert_eq!(head.path, path);
                prop_assert_eq!(head.query, query);
            }
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let begun = [GET, &bytes].concat();
            parse(&bytes.into(), |_| true);
            parse(&begun.into(), |_| true);
        }
    }
}
