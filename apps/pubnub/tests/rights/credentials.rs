//! What clients show: requests that are signed with a secret key, and tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{
    Engine,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use polywire_testing::{Endpoint, peers::Answer};
use serde_json::{Value, json};
use sha2::Sha256;

/// One key set of the server under test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    pub(crate) publish: &'static str,
    pub(crate) subscribe: &'static str,
    pub(crate) secret: &'static str,
}

pub(crate) const FIRST: Keys = Keys {
    publish: "p1",
    subscribe: "s1",
    secret: "sec1",
};

pub(crate) const SECOND: Keys = Keys {
    publish: "p2",
    subscribe: "s2",
    secret: "sec2",
};

pub(crate) const READ: u64 = 1;
pub(crate) const WRITE: u64 = 2;
pub(crate) const MANAGE: u64 = 4;
pub(crate) const DELETE: u64 = 8;

fn hmac(key: &str, parts: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(parts);
    mac.finalize().into_bytes().to_vec()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A parameter in the one way in which signatures are made of it.
fn one_way(pair: &str) -> String {
    let (name, value) = pair.split_once('=').unwrap();
    let value = percent_encoding::percent_decode_str(value).decode_utf8();
    format!("{name}={}", encode(&value.unwrap()))
}

impl Keys {
    /// The section of a configuration with this key set.
    pub(crate) fn section(&self) -> String {
        let Self {
            publish,
            subscribe,
            secret,
        } = self;
        format!(
            "[[key_sets]]\npublish_key = \"{publish}\"\nsubscribe_key = \"{subscribe}\"\nsecret_key = \"{secret}\"\n\
             access_manager = true\ndelete_history = true\n"
        )
    }

    /// An address with the signature of its request.
    pub(crate) fn signed(&self, method: &str, target: &str, body: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let time = format!("timestamp={}", now());
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let mut pairs: Vec<_> = pairs.chain([&*time]).map(one_way).collect();
        pairs.sort_unstable();
        let query = pairs.join("&");
        let text = [method, self.publish, path, &query, body].join("\n");
        let signature = URL_SAFE_NO_PAD.encode(hmac(self.secret, text.as_bytes()));
        format!("{path}?{query}&signature=v2.{signature}")
    }

    pub(crate) fn get(&self, server: &Endpoint, target: &str) -> Answer {
        server.get(&self.signed("GET", target, ""))
    }

    /// Asks for a token for these channels and groups.
    pub(crate) fn try_grant(&self, server: &Endpoint, permissions: &Value) -> Answer {
        let body = json!({"ttl": 60, "permissions": permissions}).to_string();
        let target = format!("/v3/pam/{}/grant", self.subscribe);
        server.post(&self.signed("POST", &target, &body), body)
    }

    pub(crate) fn grant(&self, server: &Endpoint, permissions: &Value) -> String {
        let answer = self.try_grant(server, permissions);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let token = answer.json()["data"]["token"].clone();
        token.as_str().unwrap().to_owned()
    }

    pub(crate) fn revoke(&self, server: &Endpoint, token: &str) {
        let target = format!("/v3/pam/{}/grant/{}", self.subscribe, encode(token));
        let target = self.signed("DELETE", &target, "");
        let answer = server.request("DELETE", &target, &[], None);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// A token for one channel that ends so long from now, which no server would grant.
    pub(crate) fn token_for(&self, channel: &str, bits: u8, left: Duration) -> String {
        let issued = now() + left.as_secs() - 60;
        let issued = u32::try_from(issued).unwrap();
        let bytes = |name: &str| [&[0x40 | name.len() as u8], name.as_bytes()].concat();
        let rights = |names: &[u8]| {
            let empty = [&bytes("grp")[..], &[0xa0], &bytes("uuid"), &[0xa0]].concat();
            [&[0xa3][..], &bytes("chan"), names, &empty].concat()
        };
        let name = [&[0x60 | channel.len() as u8], channel.as_bytes()].concat();
        let one = [&[0xa1][..], &name, &[bits]].concat();
        let said = [
            &[0xa7][..],
            &bytes("v"),
            &[2],
            &bytes("t"),
            &[0x1a],
            &issued.to_be_bytes(),
            &bytes("ttl"),
            &[1],
            &bytes("res"),
            &rights(&one),
            &bytes("pat"),
            &rights(&[0xa0]),
            &bytes("meta"),
            &[0xa0],
        ]
        .concat();
        let signature = hmac(self.secret, &said);
        URL_SAFE.encode([&said[..], &bytes("sig")[..], &[0x58, 0x20], &signature].concat())
    }
}

/// A text as a part of an address.
pub(crate) fn encode(text: &str) -> String {
    let bytes = text.bytes();
    bytes
        .map(|byte| match byte {
            b'-' | b'_' | b'.' => (byte as char).to_string(),
            _ if byte.is_ascii_alphanumeric() => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
