//! An event as an HTTP request.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rand::distr::{Alphanumeric, SampleString};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use super::settings::SystemEvent;
use crate::{event::Connection, keys::Keys};

/// What CloudEvents has escaped in a header.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

pub(super) const ORIGIN: &str = "webhook-request-origin";
pub(super) const VERSION: &str = "ce-awpsversion";
pub(super) const STATE: &str = "ce-connectionstate";

/// An event as an HTTP request.
pub(super) struct Post {
    /// Without the prefix that says whose event it is.
    pub(super) name: String,
    pub(super) headers: HeaderMap,
    pub(super) body: bytes::Bytes,
}

/// What an event is.
pub(super) enum What<'w> {
    System(SystemEvent),
    /// Its name and its media type.
    User(&'w str, &'static str),
}

impl Post {
    pub(super) fn new(
        what: &What<'_>,
        connection: &Connection,
        keys: &Keys,
        origin: &str,
        body: bytes::Bytes,
    ) -> Self {
        let (kind, name, media_type) = match what {
            What::System(event) => {
                let name = event.as_str();
                (format!("azure.webpubsub.sys.{name}"), name, JSON)
            }
            What::User(name, media_type) => {
                (format!("azure.webpubsub.user.{name}"), *name, *media_type)
            }
        };
        let id = Alphanumeric.sample_string(&mut rand::rng(), 24);
        let source = format!("/hubs/{}/client/{}", connection.hub, connection.id);
        let signature = signature(keys, &connection.id);
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let mut set = |name: &'static str, value: &str| {
            let value = utf8_percent_encode(value, ESCAPED).to_string();
            // Nothing is left in it that a header cannot hold.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set(ORIGIN, origin);
        set(VERSION, "1.0");
        set("ce-specversion", "1.0");
        set("ce-type", &kind);
        set("ce-source", &source);
        set("ce-id", &id);
        set("ce-time", &Timestamp::now().to_string());
        set("ce-hub", &connection.hub);
        set("ce-connectionid", &connection.id);
        set("ce-eventname", name);
        set("ce-signature", &signature);
        if let Some(user) = &connection.user {
            set("ce-userid", user);
        }
        let is_connect = matches!(what, What::System(SystemEvent::Connect));
        if let (Some(subprotocol), false) = (&connection.subprotocol, is_connect) {
            set("ce-subprotocol", subprotocol);
        }
        // It goes back as it came.
        if let Some(Ok(state)) = connection.state.as_deref().map(HeaderValue::from_str) {
            headers.insert(HeaderName::from_static(STATE), state);
        }
        Self {
            name: name.to_owned(),
            headers,
            body,
        }
    }
}

pub(super) const JSON: &str = "application/json; charset=utf-8";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const BINARY: &str = "application/octet-stream";

/// The id of a connection, signed with every key, so that keys can be changed one after the other.
fn signature(keys: &Keys, connection: &str) -> String {
    let signed: Vec<_> = keys
        .all()
        .filter_map(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
            mac.update(connection.as_bytes());
            let mut text = String::from("sha256=");
            for byte in mac.finalize().into_bytes() {
                text.push_str(&format!("{byte:02x}"));
            }
            Some(text)
        })
        .collect();
    signed.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection::new(
            "abc".into(),
            "chat".into(),
            Some("a b%é".into()),
            Some("json.webpubsub.azure.v1".into()),
            Some("eyJ9==".into()),
        )
    }

    #[test]
    fn headers_say_whose_event_it_is() {
        let keys = Keys::new(Some("one".into()), Some("two".into()));
        let post = |what| Post::new(&what, &connection(), &keys, "h:80", "{}".into()).headers;
        let headers = post(What::User("my event\r\n", TEXT));
        assert_eq!(headers["ce-type"], "azure.webpubsub.user.my%20event%0D%0A");
        assert_eq!(headers["ce-eventname"], "my%20event%0D%0A");
        assert_eq!(headers["ce-source"], "/hubs/chat/client/abc");
        assert_eq!(headers["ce-userid"], "a%20b%25%C3%A9");
        assert_eq!(headers["ce-connectionstate"], "eyJ9==");
        assert_eq!(headers["ce-subprotocol"], "json.webpubsub.azure.v1");
        assert_eq!(headers["content-type"], TEXT);
        let connect = post(What::System(SystemEvent::Connect));
        assert_eq!(connect["ce-type"], "azure.webpubsub.sys.connect");
        assert!(!connect.contains_key("ce-subprotocol"));
        assert_ne!(connect["ce-id"], headers["ce-id"]);
    }

    #[test]
    fn both_keys_sign() {
        // printf abc | openssl dgst -sha256 -hmac KEY
        let one = "sha256=592194585407c44e82528c7fcd22511eac5c95a9e0c9e069da02fcae2826dc29";
        let two = "sha256=959fe020cf966a159a7429928922c6777bfe17ca7b1f105b18a18fcc95f70618";
        let keys = |second: Option<&str>| Keys::new(Some("one".into()), second.map(str::to_owned));
        assert_eq!(signature(&keys(None), "abc"), one);
        assert_eq!(signature(&keys(Some("two")), "abc"), format!("{one},{two}"));
    }
}
