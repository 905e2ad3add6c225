//! Pages of SockJS that need no session: greeting, capabilities, iframe page.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use sha1::{Digest, Sha1};

use super::{SockJsOptions, headers};
use crate::transport::http::{CrossOrigin, Request, Response, json, response, status, text};

/// What a person sees who opens the address in a browser.
pub(super) fn greeting() -> Response {
    text(StatusCode::OK, "Welcome to SockJS!\n")
}

/// What the client asks first, and measures its round trip with.
pub(super) fn info(request: &Request, options: &SockJsOptions, allowed: &CrossOrigin) -> Response {
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
    headers::cross_origin(&mut response, request, allowed);
    response
}

/// The client library, as its authors publish it: version 1.6.1, MIT licence. The page and the script of its frame must be of
/// one version, so that of the page is what counts.
const CLIENT: &str = include_str!("client/sockjs-1.6.1.min.js");

/// Where it is, below the prefix. Another version has another name, so that it may be kept.
pub(super) const CLIENT_NAME: &str = "sockjs-1.6.1.min.js";

/// The client library.
pub(super) fn client() -> Response {
    let mut answer = response(StatusCode::OK, CLIENT);
    headers::set(
        &mut answer,
        header::CONTENT_TYPE,
        "text/javascript; charset=UTF-8",
    );
    headers::set(&mut answer, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    headers::cacheable(&mut answer);
    answer
}

/// What browsers check it against: Subresource Integrity.
fn client_integrity() -> String {
    let digest = ring::digest::digest(&ring::digest::SHA384, CLIENT.as_bytes());
    format!("sha384-{}", STANDARD.encode(digest))
}

/// The page that old browsers load in a hidden frame.
pub(super) struct IframePage {
    body: Bytes,
    etag: String,
}

impl IframePage {
    /// The page of the endpoint at `prefix`.
    pub(super) fn new(prefix: &str, options: &SockJsOptions) -> Self {
        let attribute = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;");
        let own = format!("{prefix}/{CLIENT_NAME}");
        let (url, integrity) = match &options.client_url {
            Some(url) => (url, options.client_integrity.clone()),
            None => (&own, Some(client_integrity())),
        };
        let mut script = attribute(url);
        if let Some(integrity) = integrity {
            // Without the last word browsers cannot check what comes from elsewhere.
            let integrity = attribute(&integrity);
            script += &format!("\" integrity=\"{integrity}\" crossorigin=\"anonymous");
        }
        let body = include_str!("iframe.html").replace("SOCKJS_URL", &script);
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
