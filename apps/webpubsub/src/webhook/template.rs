//! URLs with places for the names of hub and event.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use super::{address::is_public, error::WebhookError};

/// What stands in a path or a query as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A URL with places for the names of hub and event. Only its host is ever shown: the rest may hold a secret.
#[derive(Clone)]
pub(super) struct Template {
    text: String,
    host: String,
    has_private_address: bool,
    is_secure: bool,
}

impl Template {
    pub(super) fn new(text: String) -> Result<Self, WebhookError> {
        let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = after_scheme.split(['/', '?', '#']).next();
        if authority.is_some_and(|authority| authority.contains(['{', '}'])) {
            return Err(WebhookError::PlaceInHost);
        }
        let sample = fill(&text, "hub", "event");
        if sample.contains(['{', '}']) {
            return Err(WebhookError::UnknownPlace);
        }
        let url = Url::parse(&sample).map_err(|_| WebhookError::Url)?;
        let is_secure = url.scheme() == "https";
        let host = url.host_str().unwrap_or_default().to_owned();
        if host.is_empty() || !(is_secure || url.scheme() == "http") {
            return Err(WebhookError::Url);
        }
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        Ok(Self {
            text,
            host,
            has_private_address: address.is_ok_and(|address| !is_public(address)),
            is_secure,
        })
    }

    /// The URL of an event; `None` for a name that would lead to another path.
    pub(super) fn url(&self, hub: &str, event: &str) -> Option<Url> {
        // A segment of dots goes up, also when it is escaped.
        if event.bytes().all(|byte| byte == b'.') {
            return None;
        }
        Url::parse(&fill(&self.text, hub, event)).ok()
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// True when the host is written as an address that is not public.
    pub(super) fn has_private_address(&self) -> bool {
        self.has_private_address
    }

    pub(super) fn is_secure(&self) -> bool {
        self.is_secure
    }
}

fn fill(text: &str, hub: &str, event: &str) -> String {
    let escaped = |name| utf8_percent_encode(name, ESCAPED).to_string();
    // The names are escaped, so that none of them is taken for a place.
    text.replace("{hub}", &escaped(hub))
        .replace("{event}", &escaped(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Result<Template, WebhookError> {
        Template::new(text.to_owned())
    }

    #[test]
    fn names_are_filled_in_escaped() {
        let good = template("http://h.example:81/{hub}/on-{event}?code=a%2Fb&e={event}").unwrap();
        let url = |event| good.url("chat", event).map(|url| url.to_string());
        assert_eq!(
            url("a/../é{hub}").unwrap(),
            "http://h.example:81/chat/on-a%2F..%2F%C3%A9%7Bhub%7D?code=a%2Fb&e=a%2F..%2F%C3%A9%7Bhub%7D"
        );
        assert_eq!((url(".."), url(".")), (None, None));
        assert_eq!(good.host(), "h.example");
        assert!(!good.has_private_address() && !good.is_secure());
    }

    #[test]
    fn a_host_is_fixed() {
        let wrong = |text| template(text).err().unwrap();
        assert_eq!(wrong("http://{hub}.example/"), WebhookError::PlaceInHost);
        assert_eq!(wrong("http://h.example/{user}"), WebhookError::UnknownPlace);
        for text in ["", "h.example", "ftp://h.example/", "http://", "/hook"] {
            assert_eq!(wrong(text), WebhookError::Url, "{text}");
        }
    }

    #[test]
    fn private_addresses_are_known_however_they_are_written() {
        for text in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433",
            "http://[::1]:1/",
        ] {
            assert!(template(text).unwrap().has_private_address(), "{text}");
        }
        assert!(!template("https://1.1.1.1/").unwrap().has_private_address());
    }
}
