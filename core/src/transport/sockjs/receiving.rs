//! The receiving transports: how each writes a frame (sockjs-protocol 0.3.3, "Session URLs").

use bytes::Bytes;
use http::StatusCode;

use crate::{
    authentication::Credentials,
    transport::http::{Request, Response, text},
};

/// Bytes before the first frame of `xhr_streaming`: some browsers show nothing before.
const XHR_PRELUDE: usize = 2048;

/// Bytes that the head of `htmlfile` must exceed, for the same reason.
const HTML_HEAD_BYTES: usize = 1024;

/// Bytes of a `jsonp` callback.
const JSONP_CALLBACK_MAX: usize = 32;

/// Bytes of an `htmlfile` callback.
const HTML_CALLBACK_MAX: usize = 1024;

/// A way to carry frames to a client over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Receiving {
    Xhr,
    XhrStreaming,
    EventSource,
    HtmlFile { callback: String },
    Jsonp { callback: String },
}

impl Receiving {
    /// `htmlfile` with the callback of the request, or the answer that says what is wrong with it.
    pub(super) fn html_file(request: &Request) -> Result<Self, Box<Response>> {
        callback(request, HTML_CALLBACK_MAX).map(|callback| Self::HtmlFile { callback })
    }

    /// `jsonp` with the callback of the request, or the answer that says what is wrong with it.
    pub(super) fn jsonp(request: &Request) -> Result<Self, Box<Response>> {
        callback(request, JSONP_CALLBACK_MAX).map(|callback| Self::Jsonp { callback })
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Xhr | Self::XhrStreaming | Self::Jsonp { .. } => {
                "application/javascript; charset=UTF-8"
            }
            Self::EventSource => "text/event-stream",
            Self::HtmlFile { .. } => "text/html; charset=UTF-8",
        }
    }

    /// True where pages of other origins may read.
    pub(super) fn is_cross_origin(&self) -> bool {
        matches!(self, Self::Xhr | Self::XhrStreaming | Self::EventSource)
    }

    /// Bytes of frames after which the answer ends: polling ends after one frame.
    pub(super) fn limit(&self, response_bytes_max: usize) -> usize {
        match self {
            Self::Xhr | Self::Jsonp { .. } => 1,
            _ => response_bytes_max,
        }
    }

    /// What comes before the frames.
    pub(super) fn prelude(&self) -> Option<Bytes> {
        match self {
            Self::Xhr | Self::Jsonp { .. } => None,
            Self::XhrStreaming => {
                let mut prelude = vec![b'h'; XHR_PRELUDE];
                prelude.push(b'\n');
                Some(prelude.into())
            }
            Self::EventSource => Some(Bytes::from_static(b"\r\n")),
            Self::HtmlFile { callback } => {
                let head = include_str!("htmlfile.html").trim_end();
                let mut head = head.replace("CB", callback);
                while head.len() <= HTML_HEAD_BYTES {
                    head.push(' ');
                }
                head.push_str("\r\n\r\n");
                Some(head.into())
            }
        }
    }

    /// A frame as it is written.
    pub(super) fn write(&self, frame: &str) -> Bytes {
        match self {
            Self::Xhr | Self::XhrStreaming => format!("{frame}\n"),
            Self::EventSource => {
                // The client runs the data through decodeURI.
                let mut out = String::with_capacity(frame.len() + 10);
                out.push_str("data: ");
                for c in frame.chars() {
                    match c {
                        '%' => out.push_str("%25"),
                        '\r' => out.push_str("%0D"),
                        '\n' => out.push_str("%0A"),
                        '\0' => out.push_str("%00"),
                        c => out.push(c),
                    }
                }
                out.push_str("\r\n\r\n");
                out
            }
            Self::HtmlFile { .. } => {
                // A message must not be able to end the script.
                let json = json_string(frame).replace('<', "\\u003c");
                format!("<script>\np({json});\n</script>\r\n")
            }
            Self::Jsonp { callback } => format!("/**/{callback}({});\r\n", json_string(frame)),
        }
        .into()
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn callback(request: &Request, bytes_max: usize) -> Result<String, Box<Response>> {
    let credentials = Credentials {
        query: request.query.to_string(),
        ..Credentials::default()
    };
    let callback = ["c", "callback"]
        .iter()
        .find_map(|name| credentials.query_value(name))
        .filter(|callback| !callback.is_empty());
    let error = |body: &'static str| Box::new(text(StatusCode::INTERNAL_SERVER_ERROR, body));
    let callback = callback.ok_or_else(|| error("\"callback\" parameter required"))?;
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if callback.len() > bytes_max || !callback.bytes().all(allowed) {
        return Err(error("invalid \"callback\" parameter"));
    }
    Ok(callback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transport_writes_frames_its_own_way() {
        let frame = r#"a["x\"%"]"#;
        assert_eq!(Receiving::Xhr.write(frame), "a[\"x\\\"%\"]\n");
        assert_eq!(
            Receiving::EventSource.write(frame),
            "data: a[\"x\\\"%25\"]\r\n\r\n"
        );
        let callback = "cb".to_owned();
        assert_eq!(
            Receiving::Jsonp { callback }.write(frame),
            "/**/cb(\"a[\\\"x\\\\\\\"%\\\"]\");\r\n"
        );
        let callback = "cb".to_owned();
        assert_eq!(
            Receiving::HtmlFile { callback }.write("a[\"</script>\"]"),
            "<script>\np(\"a[\\\"\\u003c/script>\\\"]\");\n</script>\r\n"
        );
    }
}
