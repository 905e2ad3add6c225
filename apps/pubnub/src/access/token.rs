//! Access tokens: what somebody may do, until when, signed by us.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use regex::{Regex, RegexBuilder};
use serde_json::Value as Json;
use subtle::ConstantTimeEq;

use super::{
    cbor::{self, Value, Writer},
    hmac::{self, hmac},
    resource::Resource,
};

/// With padding, which one of the SDKs needs; without it tokens are taken all the same.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the signature at the end of a token begins with: its name and its length.
const SIGNATURE: &[u8] = b"\x43sig\x58\x20";

/// Bytes of a token.
const BYTES_MAX: usize = 32 << 10;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// Rights by name, for channels, groups and clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TokenRights {
    pub(crate) channels: BTreeMap<String, u64>,
    pub(crate) groups: BTreeMap<String, u64>,
    pub(crate) clients: BTreeMap<String, u64>,
}

/// What a token is to say.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) minutes: u64,
    pub(crate) resources: TokenRights,
    pub(crate) patterns: TokenRights,
    pub(crate) meta: Json,
    pub(crate) client: Option<String>,
}

/// A token that was checked.
#[derive(Debug)]
pub(crate) struct Token {
    resources: TokenRights,
    channel_patterns: Vec<(Regex, u64)>,
    group_patterns: Vec<(Regex, u64)>,
    client: Option<String>,
    pub(crate) end: SystemTime,
    /// What tells tokens apart.
    pub(super) signature: [u8; hmac::LENGTH],
}

/// A pattern, ready to be matched; none when it is none.
pub(crate) fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build()
        .ok()
}

/// Writes and signs a token.
pub(crate) fn write(terms: &Terms, secret: &str, now: SystemTime) -> String {
    let mut token = Writer::default();
    token.map(7 + usize::from(terms.client.is_some()));
    token.bytes(b"v");
    token.number(2);
    token.bytes(b"t");
    token.number(seconds(now));
    token.bytes(b"ttl");
    token.number(terms.minutes);
    token.bytes(b"res");
    write_rights(&mut token, &terms.resources);
    token.bytes(b"pat");
    write_rights(&mut token, &terms.patterns);
    if let Some(client) = &terms.client {
        token.bytes(b"uuid");
        token.text(client);
    }
    token.bytes(b"meta");
    token.json(&terms.meta);
    sign(token.0, secret)
}

/// The text of what a token says, with its signature.
pub(crate) fn sign(mut token: Vec<u8>, secret: &str) -> String {
    let signature = hmac(secret.as_bytes(), &[&token]);
    token.extend(SIGNATURE);
    token.extend(signature);
    BASE64.encode(token)
}

fn write_rights(token: &mut Writer, rights: &TokenRights) {
    token.map(3);
    for (sort, names) in [
        ("chan", &rights.channels),
        ("grp", &rights.groups),
        ("uuid", &rights.clients),
    ] {
        token.bytes(sort.as_bytes());
        token.map(names.len());
        for (name, bits) in names {
            token.text(name);
            token.number(*bits);
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Reads a token; none when it is not one of ours.
pub(crate) fn read(text: &str, secret: &str) -> Option<Token> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let bytes = BASE64.decode(text).ok()?;
    let split = bytes.len().checked_sub(hmac::LENGTH + SIGNATURE.len())?;
    let (signed, end) = bytes.split_at(split);
    // Nothing is read that we did not write ourselves.
    let signature = hmac(secret.as_bytes(), &[signed]);
    let expected = [SIGNATURE, &signature].concat();
    if !bool::from(end.ct_eq(&expected)) {
        return None;
    }
    let Value::Map(token) = cbor::read(&bytes)? else {
        return None;
    };
    let number = |name| match token.get(name) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    };
    let life = Duration::from_secs(number("ttl")?.checked_mul(60)?);
    let end = UNIX_EPOCH + Duration::from_secs(number("t")?) + life;
    let patterns = |sort| {
        let rights = rights(token.get("pat"), sort);
        let patterns = rights.into_iter();
        let compiled = patterns.filter_map(|(text, bits)| Some((pattern(&text)?, bits)));
        compiled.collect()
    };
    let resources = |sort| rights(token.get("res"), sort);
    Some(Token {
        resources: TokenRights {
            channels: resources("chan"),
            groups: resources("grp"),
            clients: BTreeMap::new(),
        },
        channel_patterns: patterns("chan"),
        group_patterns: patterns("grp"),
        client: match token.get("uuid") {
            Some(Value::Text(client)) => Some(client.clone()),
            _ => None,
        },
        end,
        signature,
    })
}

fn rights(all: Option<&Value>, sort: &str) -> BTreeMap<String, u64> {
    let Some(Value::Map(all)) = all else {
        return BTreeMap::new();
    };
    let Some(Value::Map(names)) = all.get(sort) else {
        return BTreeMap::new();
    };
    let rights = names.iter().filter_map(|(name, bits)| match bits {
        Value::Number(bits) => Some((name.clone(), *bits)),
        _ => None,
    });
    rights.collect()
}

impl Token {
    /// The one client that may use it, where it names one.
    pub(super) fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// True when it may be used by this client.
    pub(super) fn is_for(&self, client: Option<&str>) -> bool {
        self.client
            .as_deref()
            .is_none_or(|only| Some(only) == client)
    }

    /// True when it gives a right.
    pub(super) fn allows(&self, resource: Resource<'_>, bit: u64) -> bool {
        let (names, patterns, name) = match resource {
            Resource::Channel(name) => (&self.resources.channels, &self.channel_patterns, name),
            Resource::Group(name) => (&self.resources.groups, &self.group_patterns, name),
        };
        names.get(name).is_some_and(|bits| bits & bit == bit)
            || patterns
                .iter()
                .any(|(pattern, bits)| bits & bit == bit && pattern.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::resource::bits;

    fn terms() -> Terms {
        let rights = |name: &str, bits| BTreeMap::from([(name.to_owned(), bits)]);
        Terms {
            minutes: 15,
            resources: TokenRights {
                channels: rights("room", 3),
                groups: rights("g", 5),
                clients: rights("ann", 32),
            },
            patterns: TokenRights {
                channels: rights("^chat-[a-z]+$", 1),
                ..TokenRights::default()
            },
            meta: serde_json::json!({"a": 1}),
            client: Some("ann".into()),
        }
    }

    #[test]
    fn a_token_says_what_it_was_given() {
        let now = SystemTime::now();
        let text = write(&terms(), "secret", now);
        assert_eq!(text.len() % 4, 0);
        let token = read(&text, "secret").unwrap();
        assert!(token.allows(Resource::Channel("room"), bits::WRITE));
        assert!(!token.allows(Resource::Channel("room"), bits::MANAGE));
        assert!(token.allows(Resource::Channel("chat-x"), bits::READ));
        assert!(!token.allows(Resource::Channel("chat-1"), bits::READ));
        assert!(!token.allows(Resource::Channel("g"), bits::READ));
        assert!(token.allows(Resource::Group("g"), bits::MANAGE));
        assert!(token.is_for(Some("ann")) && !token.is_for(Some("bob")) && !token.is_for(None));
        let life = token.end.duration_since(now).unwrap_or_default();
        assert!(life <= Duration::from_secs(900) && life > Duration::from_secs(898));
        assert!(read(text.trim_end_matches('='), "secret").is_some());
    }

    #[test]
    fn only_our_own_tokens_are_read() {
        let text = write(&terms(), "secret", SystemTime::now());
        assert!(read(&text, "another").is_none());
        let bytes = BASE64.decode(&text).unwrap();
        for index in 0..bytes.len() {
            let mut other = bytes.clone();
            other[index] ^= 1;
            assert!(read(&BASE64.encode(&other), "secret").is_none(), "{index}");
        }
        for text in ["", "AAAA", "not a token", "qEF2AkF0"] {
            assert!(read(text, "secret").is_none());
        }
    }
}
