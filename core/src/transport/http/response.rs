//! HTTP answers, in few words.

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use sync_wrapper::SyncStream;
use warp::Reply;

/// An answer, as warp's filters give it.
pub type Response = warp::reply::Response;

/// An answer whose body is there in one piece. It becomes a [`Response`] by `map(Into::into)`.
pub type Answer = http::Response<Bytes>;

/// An answer without a content type.
pub fn response(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    *response.status_mut() = status;
    response
}

/// An answer without a body.
pub fn status(status: StatusCode) -> Response {
    response(status, Bytes::new())
}

/// A plain text.
pub fn text(code: StatusCode, body: impl Into<Bytes>) -> Response {
    typed(code, "text/plain; charset=UTF-8", body)
}

/// JSON that is written already.
pub fn json(code: StatusCode, body: impl Into<Bytes>) -> Response {
    typed(code, "application/json; charset=UTF-8", body)
}

/// A body that comes piece by piece; each piece leaves at once, and proxies are told to let it pass: not to collect, compress
/// or keep it. When the client goes away the stream is dropped.
pub fn stream<S>(body: S) -> Response
where
    S: Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static,
{
    let mut response = warp::reply::stream(SyncStream::new(body)).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    let cache_control = HeaderValue::from_static("no-store, no-transform");
    headers.insert(header::CACHE_CONTROL, cache_control);
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

fn typed(code: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = response(code, body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
