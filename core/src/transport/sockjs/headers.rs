//! Headers that several answers share: caching, cross-origin, the cookie.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::transport::http::{Request, Response};

/// Seconds that the iframe page and preflight answers may be cached: a year.
const YEAR_SECS: u64 = 31_536_000;

/// Sets a header to a fixed text.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

/// The answer is not kept by anybody.
pub(super) fn no_cache(response: &mut Response) {
    set(
        response,
        header::CACHE_CONTROL,
        "no-store, no-cache, no-transform, must-revalidate, max-age=0",
    );
}

/// The answer may be kept for a year.
pub(super) fn cacheable(response: &mut Response) {
    set(response, header::CACHE_CONTROL, "public, max-age=31536000");
    let expires = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(YEAR_SECS));
    if let Ok(expires) = HeaderValue::from_str(&expires) {
        response.headers_mut().insert(header::EXPIRES, expires);
    }
}

/// Pages of any origin may read the answer.
pub(super) fn cross_origin(response: &mut Response, request: &Request) {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    match non_empty(&request.headers, &header::ORIGIN) {
        Some(origin) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        None => {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("*"),
            );
        }
    }
    let asked = non_empty(&request.headers, &header::ACCESS_CONTROL_REQUEST_HEADERS);
    if let Some(asked) = asked {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
}

/// Gives back the `JSESSIONID` that the request carries, or a dummy: load balancers look at it.
pub(super) fn cookie(response: &mut Response, request: &Request) {
    let known = request
        .headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix("JSESSIONID="));
    let value = format!("JSESSIONID={}; path=/", known.unwrap_or("dummy"));
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

fn non_empty<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    headers.get(name).filter(|value| !value.is_empty())
}
