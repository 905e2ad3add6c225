//! Headers that several answers share: caching, cross-origin, the cookie.

use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue, header};

use super::{SameSite, SockJsOptions};
use crate::transport::http::{CrossOrigin, Request, Response};

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

/// Pages of allowed origins may read the answer, and send the headers that they ask for.
pub(super) fn cross_origin(response: &mut Response, request: &Request, allowed: &CrossOrigin) {
    let headers = response.headers_mut();
    allowed.tell(headers);
    let asked = request
        .headers
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .filter(|value| !value.is_empty());
    if let Some(asked) = asked {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
}

/// Gives back the `JSESSIONID` that the request carries, or a dummy: load balancers look at it.
pub(super) fn cookie(response: &mut Response, request: &Request, options: &SockJsOptions) {
    let known = request
        .headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix("JSESSIONID="));
    let same_site = match options.cookie_same_site {
        None => "",
        Some(SameSite::Strict) => "; SameSite=Strict",
        Some(SameSite::Lax) => "; SameSite=Lax",
        Some(SameSite::None) => "; SameSite=None",
    };
    let secure = if options.cookie_secure {
        "; Secure"
    } else {
        ""
    };
    let value = known.unwrap_or("dummy");
    let value = format!("JSESSIONID={value}; path=/{same_site}{secure}");
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}
