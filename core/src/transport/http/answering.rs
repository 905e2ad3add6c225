//! Answering: what every request goes through before the routes, whichever version of HTTP it came by.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version, header::HOST};
use hyper::upgrade::OnUpgrade;
use tower_service::Service;

use super::{
    Peer, Response, head_rules, json,
    request::{Cut, HeadOnly},
    text,
};
use crate::{
    drain::DrainPlace, net::ConnectionSlot, runtime::Runtime, transport::guarded::Oddities,
};

/// The routes of an address, and the connection that asks them.
pub(super) struct Answering<R> {
    pub(super) routes: R,
    pub(super) runtime: Arc<Runtime>,
    /// The other end of the connection, which may be a proxy.
    pub(super) peer: SocketAddr,
    /// When the connection goes while the server drains.
    pub(super) place: DrainPlace,
    /// What counts the connection against the limits.
    pub(super) slot: Option<Arc<ConnectionSlot>>,
}

impl<R> Answering<R> {
    /// Answers a request.
    pub(super) fn answer<B>(
        &self,
        mut request: http::Request<B>,
        oddities: Oddities,
    ) -> impl Future<Output = Response> + use<R, B>
    where
        R: Service<http::Request<B>, Response = Response, Error = Infallible> + Clone,
    {
        let Oddities {
            is_cut,
            has_unknown_coding,
        } = oddities;
        detach(&mut request);
        name_host(&mut request);
        let refusal = if has_unknown_coding {
            Some(head_rules::unknown_coding())
        } else {
            head_rules::refusal(request.version(), request.headers())
        };
        if request.method() == Method::HEAD {
            // It is answered like GET; hyper leaves the body out. Nothing is upgraded by it.
            *request.method_mut() = Method::GET;
            request.extensions_mut().insert(HeadOnly);
            request.extensions_mut().remove::<OnUpgrade>();
        }
        let client = self
            .runtime
            .trusted_proxies()
            .client(self.peer, request.headers());
        let refusal = refusal.or_else(|| self.refuse_one_more(client));
        let (mut routes, place) = (self.routes.clone(), self.place);
        async move {
            // CONNECT has no path, which warp 0.4.3 takes badly.
            if let Some(refusal) = refusal {
                return refusal;
            }
            if request.method() == Method::CONNECT {
                let sentence = "CONNECT is not served here.\n";
                return text(StatusCode::METHOD_NOT_ALLOWED, sentence);
            }
            request.extensions_mut().insert(Peer(client));
            request.extensions_mut().insert(place);
            if is_cut {
                request.extensions_mut().insert(Cut);
            }
            match routes.call(request).await {
                // What nobody took is not there, or might be if it were not so long.
                Ok(answer) if is_cut && answer.status() == StatusCode::NOT_FOUND => json(
                    StatusCode::URI_TOO_LONG,
                    r#"{"status":414,"message":"The address is too long."}"#,
                ),
                Ok(answer) => answer,
                Err(never) => match never {},
            }
        }
    }

    /// Of a proxy's connections each counts for the client of its latest request.
    fn refuse_one_more(&self, client: SocketAddr) -> Option<Response> {
        let slot = self.slot.as_ref()?;
        if client.ip() == self.peer.ip() || slot.count_for(client.ip(), self.runtime.limits()) {
            return None;
        }
        let sentence = head_rules::too_many_connections(&self.runtime);
        Some(head_rules::unavailable(sentence))
    }
}

/// Copies what hyper left in its read buffer. A request that is held for minutes, as a long poll is, would keep
/// that buffer of 8 KiB, and hyper would take another one to see whether the client goes away.
fn detach<B>(request: &mut http::Request<B>) {
    let uri = Bytes::from(request.uri().to_string());
    if let Ok(uri) = http::Uri::from_maybe_shared(uri) {
        *request.uri_mut() = uri;
    }
    for value in request.headers_mut().values_mut() {
        if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
            copy.set_sensitive(value.is_sensitive());
            *value = copy;
        }
    }
}

/// HTTP/2 names the host in `:authority`, which counts before a `Host`, RFC 9113 section 8.3.1: apps find it where HTTP/1.1 has
/// it.
fn name_host<B>(request: &mut http::Request<B>) {
    if request.version() != Version::HTTP_2 {
        return;
    }
    let authority = request.uri().authority().map(|name| name.as_str());
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        request.headers_mut().insert(HOST, host);
    }
}
