//! HTTP requests, as apps get them.

use std::{fmt, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, header};
use hyper::upgrade::OnUpgrade;
use warp::{Filter, Rejection};

use crate::{
    authentication::Credentials,
    drain::DrainPlace,
    memory::{Draw, Held},
};

/// Bytes of a body that is too long which are read and thrown away before the answer, so that a client
/// that writes everything before it reads gets to see the answer.
const DISCARD_BYTES_MAX: usize = 256 << 20;

/// The address of the peer, as our listener knows it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Marks a request whose target was too long to be read whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut;

/// Marks a HEAD request, which goes about as GET.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadOnly;

/// A whole HTTP request.
#[derive(Debug)]
pub struct Request {
    /// The method: GET for HEAD too.
    pub method: Method,
    /// Only the head of the answer to a GET request is wanted: the method is HEAD.
    pub is_head: bool,
    /// The path, percent-encoded as it came.
    pub path: ByteString,
    /// The query string without `?`, percent-encoded as it came.
    pub query: ByteString,
    /// Path and query are only the beginning of something longer than 60 KiB. Only
    /// [`request_even_cut`] gives such a request.
    pub is_cut: bool,
    /// The headers.
    pub headers: HeaderMap,
    /// The address of the peer, where it is known.
    pub peer: Option<SocketAddr>,
    /// When its connection goes while the server [drains](crate::Drain): whatever holds the request answers it then.
    pub place: DrainPlace,
    /// The way to the socket, if the client wants another protocol.
    pub on_upgrade: Option<OnUpgrade>,
    /// What follows the head.
    pub body: Body,
}

impl Request {
    /// What an [`AuthenticationPolicy`](crate::AuthenticationPolicy) is shown of this request.
    pub fn credentials(&self, app: &'static str) -> Credentials {
        Credentials {
            app,
            method: Some(self.method.clone()),
            path: self.path.to_string(),
            query: self.query.to_string(),
            headers: self.headers.clone(),
            peer: self.peer,
            user: None,
            token: None,
        }
    }

    /// A header, where it is readable text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The body of a request, read on demand; none where there cannot be one.
pub struct Body {
    chunks: Option<Pin<Box<Chunks>>>,
    /// Its length, where the client said it.
    length: Option<u64>,
    /// The client waits to hear whether it is wanted.
    is_asked: bool,
}

type Chunks = dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than the limit.
    #[error("the body is longer than the limit")]
    TooLong,
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The server holds as much as its memory budget allows.
    #[error("the server has no room for the body now; try again later")]
    NoRoom,
    /// The connection broke.
    #[error("the body did not arrive whole")]
    Broken,
}

impl Body {
    /// No body.
    pub(super) fn empty() -> Self {
        Self {
            chunks: None,
            length: None,
            is_asked: false,
        }
    }

    /// Reads the whole body. It may come without a length and without a type. A client that waits to hear whether its body is
    /// wanted (`Expect: 100-continue`) hears it here, and is not asked for one that is too long.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn read(&mut self, bytes_max: usize, timeout: Duration) -> Result<Bytes, BodyError> {
        tokio::time::timeout(timeout, self.collect(bytes_max))
            .await
            .map_err(|_| BodyError::TimedOut)?
    }

    async fn collect(&mut self, bytes_max: usize) -> Result<Bytes, BodyError> {
        let Some(stream) = &mut self.chunks else {
            return Ok(Bytes::new());
        };
        if self.is_asked && self.length.is_some_and(|length| length > bytes_max as u64) {
            return Err(BodyError::TooLong);
        }
        let mut whole = Bytes::new();
        let mut all = BytesMut::new();
        let mut len = 0;
        let mut draw = Draw::new(Held::Requests);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| BodyError::Broken)?;
            len += chunk.len();
            if len > DISCARD_BYTES_MAX {
                return Err(BodyError::TooLong);
            }
            if len > bytes_max {
                all = BytesMut::new();
            } else if all.is_empty() && self.length == Some(len as u64) {
                // Most bodies come in one piece, which needs no copy.
                whole = chunk;
            } else {
                // It is copied out of the buffer of the connection, which would have to take another one.
                all.extend_from_slice(&chunk);
                if !draw.resize(all.capacity()) {
                    return Err(BodyError::NoRoom);
                }
            }
        }
        match len {
            _ if len > bytes_max => Err(BodyError::TooLong),
            _ if all.is_empty() => Ok(whole),
            _ => Ok(all.freeze()),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

/// The filter that takes a request as a whole, if its path (percent-encoded as it came) is wanted.
///
/// What is not wanted is rejected with `not_found` before its body is touched, so that other filters may
/// still take it.
pub fn request(
    wanted: impl Fn(&str) -> bool + Clone + Send + Sync + 'static,
) -> impl Filter<Extract = (Request,), Error = Rejection> + Clone {
    request_where(move |path, is_cut| !is_cut && wanted(path))
}

/// Like [`request`], and takes requests too whose target is so long that only its beginning was read, where
/// other filters leave them to be answered with 414: for protocols with an answer of their own.
pub fn request_even_cut(
    wanted: impl Fn(&str) -> bool + Clone + Send + Sync + 'static,
) -> impl Filter<Extract = (Request,), Error = Rejection> + Clone {
    request_where(move |path, _| wanted(path))
}

fn request_where(
    wanted: impl Fn(&str, bool) -> bool + Clone + Send + Sync + 'static,
) -> impl Filter<Extract = (Request,), Error = Rejection> + Clone {
    method()
        .and(warp::path::full())
        .and(warp::ext::optional::<Cut>())
        .and_then(
            move |method: Method, path: warp::path::FullPath, cut: Option<Cut>| {
                let wanted = wanted(path.as_str(), cut.is_some());
                async move {
                    if wanted {
                        Ok((method, path, cut.is_some()))
                    } else {
                        Err(warp::reject::not_found())
                    }
                }
            },
        )
        .untuple_one()
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<HeadOnly>())
        .and(warp::ext::optional::<Peer>())
        .and(warp::filters::addr::remote())
        .and(warp::ext::optional::<DrainPlace>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .map(
            |method,
             path: warp::path::FullPath,
             is_cut,
             query: String,
             headers: HeaderMap,
             head_only: Option<HeadOnly>,
             peer: Option<Peer>,
             remote: Option<SocketAddr>,
             place: Option<DrainPlace>,
             on_upgrade,
             body| {
                let length = length(&headers);
                let is_asked = is_asked(&headers);
                Request {
                    method,
                    is_head: head_only.is_some(),
                    path: path.as_str().into(),
                    query: query.into(),
                    is_cut,
                    headers,
                    // `remote` is known inside somebody else's `warp::serve`, `peer` inside our own listener.
                    peer: peer.map(|Peer(peer)| peer).or(remote),
                    place: place.unwrap_or(DrainPlace::FIRST),
                    on_upgrade,
                    body: boxed(body, length, is_asked),
                }
            },
        )
}

/// The filter that takes any request at `prefix` or under it as a whole, and rejects others.
pub fn request_under(
    prefix: impl Into<String>,
) -> impl Filter<Extract = (Request,), Error = Rejection> + Clone {
    let prefix: Arc<str> = prefix.into().into();
    request(move |path| {
        let rest = path.strip_prefix(&*prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn method() -> impl Filter<Extract = (Method,), Error = Rejection> + Clone {
    warp::method().and_then(|method: Method| async move {
        // warp 0.4.3 panics on the path of a CONNECT request, which is no path.
        if method == Method::CONNECT {
            Err(warp::reject::not_found())
        } else {
            Ok(method)
        }
    })
}

/// The length of the body, where it is said.
fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok()
}

/// True when the client sends the body when it hears that it is wanted: RFC 9110 section 10.1.1.
fn is_asked(headers: &HeaderMap) -> bool {
    let expects = headers.get(header::EXPECT);
    expects.is_some_and(|expects| expects.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn boxed<S, B>(stream: S, length: Option<u64>, is_asked: bool) -> Body
where
    S: Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static,
    B: Buf,
{
    let chunks = stream.map(|chunk| chunk.map(|mut buf: B| buf.copy_to_bytes(buf.remaining())));
    Body {
        chunks: Some(Box::pin(chunks)),
        length,
        is_asked,
    }
}
