//! Bearer tokens of requests.

use polywire_core::http::Request;

/// The token of an `Authorization` header.
pub(crate) fn bearer(request: &Request) -> Option<String> {
    let value = request.header("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}
