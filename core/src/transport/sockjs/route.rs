//! The addresses of an endpoint (sockjs-protocol 0.3.3, "Static URLs" and "Session URLs").

use http::Method;

use super::pages::CLIENT_NAME;

/// Bytes of a session id; longer ones are not found, so that the session table stays bounded.
const SESSION_ID_MAX: usize = 256;

/// What an address under the prefix stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'p> {
    Greeting,
    Info,
    Iframe,
    Client,
    RawWebSocket,
    WebSocket,
    Xhr(&'p str),
    XhrStreaming(&'p str),
    EventSource(&'p str),
    HtmlFile(&'p str),
    Jsonp(&'p str),
    XhrSend(&'p str),
    JsonpSend(&'p str),
}

impl<'p> Route<'p> {
    /// Reads what follows the prefix: empty, or from the `/` on.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let Some(path) = path.strip_prefix('/') else {
            return path.is_empty().then_some(Self::Greeting);
        };
        let mut segments = path.split('/');
        let first = segments.next()?;
        let (Some(session), Some(transport), None) =
            (segments.next(), segments.next(), segments.next())
        else {
            return (first.len() == path.len()).then(|| Self::fixed(first))?;
        };
        if !is_id(first) || !is_id(session) || session.len() > SESSION_ID_MAX {
            return None;
        }
        Some(match transport {
            "websocket" => Self::WebSocket,
            "xhr" => Self::Xhr(session),
            "xhr_streaming" => Self::XhrStreaming(session),
            "eventsource" => Self::EventSource(session),
            "htmlfile" => Self::HtmlFile(session),
            "jsonp" => Self::Jsonp(session),
            "xhr_send" => Self::XhrSend(session),
            "jsonp_send" => Self::JsonpSend(session),
            _ => return None,
        })
    }

    fn fixed(segment: &str) -> Option<Self> {
        match segment {
            "info" => Some(Self::Info),
            "websocket" => Some(Self::RawWebSocket),
            CLIENT_NAME => Some(Self::Client),
            _ => {
                let version = segment.strip_prefix("iframe")?.strip_suffix(".html")?;
                let allowed = |c: u8| matches!(c, b'0'..=b'9' | b'-' | b'.' | b'a'..=b'z' | b'_');
                version.bytes().all(allowed).then_some(Self::Iframe)
            }
        }
    }

    /// The methods that are answered, as the `Allow` header lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Info => "OPTIONS, GET",
            Self::Xhr(_) | Self::XhrStreaming(_) | Self::XhrSend(_) => "OPTIONS, POST",
            Self::JsonpSend(_) => "POST",
            _ => "GET",
        }
    }

    /// True when `method` is answered.
    pub(super) fn allows(self, method: &Method) -> bool {
        self.methods()
            .split(", ")
            .any(|name| name == method.as_str())
    }
}

fn is_id(segment: &str) -> bool {
    !segment.is_empty() && !segment.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_addresses() {
        for (path, route) in [
            ("", Route::Greeting),
            ("/", Route::Greeting),
            ("/info", Route::Info),
            ("/info/", Route::Info),
            ("/iframe.html", Route::Iframe),
            ("/iframe-a.0_1.html", Route::Iframe),
            ("/websocket", Route::RawWebSocket),
            ("/0/s/websocket/", Route::WebSocket),
            ("/sockjs-1.6.1.min.js", Route::Client),
            ("/%2e/%20/xhr", Route::Xhr("%20")),
            ("/0/s/xhr_send/", Route::XhrSend("s")),
        ] {
            assert_eq!(Route::parse(path), Some(route), "{path}");
        }
        for path in [
            "//",
            "///",
            "/a",
            "/a/a",
            "/a/a/",
            "/a./a/xhr",
            "/a/a./xhr",
            "//xhr",
            "///xhr",
            "/a//xhr",
            "//a/xhr",
            "/a/a/xhr/b",
            "/a/a/XHR",
            "/IFRAME.HTML",
            "/iframe.htm",
            "/iframe",
            "/IFRAME",
            "/iframe-/.html",
            "/iframe A.html",
            "/iframeX.html",
            "/info//",
            "/a/a/xhr//",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
        assert_eq!(Route::parse(&format!("/0/{}/xhr", "s".repeat(257))), None);
    }
}
