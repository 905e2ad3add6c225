//! Pages of SockJS that need no session: greeting, capabilities, iframe page.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use sha1::{Digest, Sha1};

use super::{SockJsOptions, headers};
use crate::transport::http::{Request, Response, json, response, status, text};

/// What a person sees who opens the address in a browser.
pub(super) fn greeting() -> Response {
    text(StatusCode::OK, "Welcome to SockJS!\n")
}

/// What the client asks first, and measures its round trip with.
pub(super) fn info(request: &Request, options: &SockJsOptions) -> Response {
    let mut body = serde_json::json!({
        "websocket": options.websocket,
        "origins": ["*:*"],
        "cookie_needed": options.cookie,
        "entropy": rand::random::<u32>(),
    });
    if let Some(url) = &options.base_url {
        body["base_url"] = url.as_str().into();
    }
    let mut response = json(StatusCode::OK, body.to_string());
    headers::no_cache(&mut response);
    headers::cross_origin(&mut response, request);
    response
}

/// The page that old browsers load in a hidden frame.
pub(super) struct IframePage {
    body: Bytes,
    etag: String,
}

impl IframePage {
    pub(super) fn new(client_url: &str) -> Self {
        let url = client_url.replace('&', "&amp;").replace('"', "&quot;");
        let body = include_str!("iframe.html").replace("SOCKJS_URL", &url);
        let body = body.trim_end().to_owned();
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha1::digest(&body)));
        Self {
            body: body.into(),
            etag,
        }
    }

    pub(super) fn answer(&self, request: &Request) -> Response {
        let known = request.header("if-none-match").is_some_and(|list| {
            list.split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|tag| tag == self.etag || tag == "*")
        });
        let mut answer = if known {
            status(StatusCode::NOT_MODIFIED)
        } else {
            let mut answer = response(StatusCode::OK, self.body.clone());
            headers::set(
                &mut answer,
                header::CONTENT_TYPE,
                "text/html; charset=UTF-8",
            );
            answer
        };
        headers::cacheable(&mut answer);
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            answer.headers_mut().insert(header::ETAG, etag);
        }
        answer
    }
}
