//! JSONP: an answer as a call of a function that the address names, for pages whose browser has no other way.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use polywire_core::http::Answer;

use crate::{
    context::Context,
    reply::{self, Refused},
    service,
};

/// Bytes of a function's name.
const NAME_BYTES_MAX: usize = 128;

/// The function that an address names where it has a place for one; none for a `0` there.
pub(crate) fn callback<'p>(context: &Context, path: &'p str) -> Result<Option<&'p str>, Refused> {
    let Some(name) = named(path) else {
        return Ok(None);
    };
    if !is_name(name) {
        let message =
            "Invalid callback: use 0, or the name of a function in letters, digits, _, $ and dots.";
        return Err(reply::bad_request(service::BALANCER, message));
    }
    // A script of any site may be loaded, and the browser says nothing of the page.
    if !context.origins.is_any() {
        let message = "Pages of every site could read what is answered to a callback: set allowed_origins to [\"*\"], or use 0.";
        return Err(reply::error(
            StatusCode::FORBIDDEN,
            service::BALANCER,
            message,
        ));
    }
    Ok(Some(name))
}

fn named(path: &str) -> Option<&str> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let place = match parts.next()? {
        "subscribe" => 2,
        "v2" if parts.next()? == "subscribe" => 2,
        "publish" | "signal" => 4,
        "time" => 0,
        _ => return None,
    };
    let name = parts.nth(place)?;
    (!matches!(name, "" | "0")).then_some(name)
}

fn is_name(name: &str) -> bool {
    let may_be_in = |byte: u8| byte.is_ascii_alphanumeric() || b"_$.".contains(&byte);
    name.len() <= NAME_BYTES_MAX
        && name.bytes().all(may_be_in)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// The answer as a call of the function.
pub(crate) fn call(name: &str, answer: Answer) -> Answer {
    let (mut head, body) = answer.into_parts();
    head.headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let body = [name.as_bytes(), b"(", &body, b")"].concat();
    Answer::from_parts(head, Bytes::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_where_the_address_has_a_place_for_it() {
        for path in [
            "/subscribe/k/c/cb/0",
            "/v2/subscribe/k/c/cb",
            "/publish/p/s/0/c/cb/1",
            "/publish/p/s/0/c/cb",
            "/signal/p/s/0/c/cb/1",
            "/time/cb",
        ] {
            assert_eq!(named(path), Some("cb"), "{path}");
            assert_eq!(named(&path.replace("cb", "0")), None, "{path}");
        }
        for path in ["/v2/history/sub-key/k/channel/c", "/subscribe/k", "/time"] {
            assert_eq!(named(path), None, "{path}");
        }
    }

    #[test]
    fn a_name_is_one_of_a_function() {
        for name in ["cb", "_1", "$", "a.b.c", &"x".repeat(128)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["1", "a(b", "alert%281%29", "a;b", &"x".repeat(129)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
