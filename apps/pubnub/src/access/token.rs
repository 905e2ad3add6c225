//! Access tokens: what somebody may do, until when, signed by us.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use polywire_core::{ClientId, CredentialId, Domain, Grant, Identity, Scope};
use regex::{Regex, RegexBuilder};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    cbor::{self, Value, Writer},
    hmac::{self, hmac},
    scope::{Names, TokenNames, scopes},
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

/// Bytes of the digest by which a token is known: too many for two to have the same one.
const DIGEST_BYTES: usize = 16;

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
    channels: Names,
    groups: Names,
    /// The one client that may use it, where it names one.
    client: Option<ClientId>,
    issued: SystemTime,
    pub(crate) end: SystemTime,
    /// What tells it from others.
    pub(crate) credential: CredentialId,
}

/// Patterns of a token, of channels and of groups each: each is compiled when the token is shown.
pub(crate) const PATTERNS_MAX: usize = 50;

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
    let issued = UNIX_EPOCH.checked_add(Duration::from_secs(number("t")?))?;
    let life = Duration::from_secs(number("ttl")?.checked_mul(60)?);
    let names = |sort| {
        let patterns = rights(token.get("pat"), sort).into_iter();
        let compiled = patterns
            .take(PATTERNS_MAX)
            .filter_map(|(text, bits)| Some((pattern(&text)?, bits)));
        Names {
            exact: rights(token.get("res"), sort),
            patterns: compiled.collect(),
        }
    };
    Some(Token {
        channels: names("chan"),
        groups: names("grp"),
        client: match token.get("uuid") {
            // For nobody, where it cannot be read.
            Some(Value::Text(client)) => Some(ClientId::new(client).ok()?),
            Some(_) => return None,
            None => None,
        },
        issued,
        end: issued.checked_add(life)?,
        credential: credential(&signature),
    })
}

/// What a token is known by: a digest of its signature.
fn credential(signature: &[u8]) -> CredentialId {
    let digest = Sha256::digest(signature);
    let digits: String = digest[..DIGEST_BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    CredentialId::new(&format!("pubnub:{digits}"))
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
    /// Who shows it, and what they may do in a domain.
    pub(super) fn identity(self, domain: &Domain) -> Identity {
        let names = Arc::new(TokenNames {
            domain: domain.clone(),
            channels: self.channels,
            groups: self.groups,
        });
        let scopes = scopes(&names).into_iter();
        Identity {
            client: self.client,
            credential: Some(self.credential),
            issued_at: Some(self.issued),
            expires_at: Some(self.end),
            grants: scopes
                .map(|(permissions, scope)| Grant::new(Scope::Matching(scope), permissions))
                .collect(),
            domain: domain.clone(),
            refuses_other_ids: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, Pattern, Permissions, Resource};

    use super::*;

    fn terms() -> Terms {
        let rights = |names: &[(&str, u64)]| {
            let names = names.iter();
            names
                .map(|(name, bits)| ((*name).to_owned(), *bits))
                .collect()
        };
        Terms {
            minutes: 15,
            resources: TokenRights {
                channels: rights(&[
                    ("room", 3),
                    ("hall-pnpres", 1),
                    ("a.*", 1),
                    ("b.*-pnpres", 1),
                ]),
                groups: rights(&[("g", 5)]),
                clients: rights(&[("ann", 32)]),
            },
            patterns: TokenRights {
                channels: rights(&[("^chat-[a-z]+$", 1)]),
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
        assert!(read(text.trim_end_matches('='), "secret").is_some());
        for domain in [Domain::COMMON, Domain::new("pubnub", "s2")] {
            let identity = read(&text, "secret").unwrap().identity(&domain);
            let has = |permissions, resource: Resource<'_>| {
                let mut grants = identity.grants.iter();
                grants.any(|grant| grant.covers(permissions, resource))
            };
            let channel = |name| Channel::new(&domain.qualify(name)).unwrap();
            let may = |permissions, name| has(permissions, Resource::Channel(&channel(name)));
            let group =
                |permissions, name| has(permissions, Resource::Group(&domain.qualify(name)));
            let below = |permissions, name| {
                let pattern = Pattern::pubnub(&domain.qualify(name)).unwrap();
                has(permissions, Resource::Pattern(&pattern))
            };
            let reads = Permissions::READ | Permissions::HISTORY | Permissions::PRESENCE;
            for permissions in [
                Permissions::READ,
                Permissions::HISTORY,
                Permissions::PRESENCE,
            ] {
                assert!(may(permissions, "room"), "{permissions:?}");
            }
            assert!(may(Permissions::WRITE, "room") && !may(Permissions::MANAGE, "room"));
            assert!(!may(Permissions::DELETE, "room") && !may(reads, "hall"));
            assert!(may(Permissions::PRESENCE, "hall-pnpres"));
            assert!(may(Permissions::READ, "chat-x") && !may(Permissions::READ, "chat-1"));
            assert!(!may(Permissions::READ, "g") && group(Permissions::READ, "g"));
            assert!(group(Permissions::MANAGE, "g") && !group(Permissions::MANAGE, "room"));
            assert!(below(Permissions::READ, "a.*") && !below(Permissions::READ, "b.*"));
            assert!(!below(Permissions::READ, "a.b.*") && !may(Permissions::READ, "a.x"));
            assert!(below(Permissions::PRESENCE, "b.*") && !below(Permissions::PRESENCE, "a.*"));
            // Nothing of another domain is called so.
            let other = Channel::new("$domain/pubnub:s3/room").unwrap();
            assert!(!has(Permissions::READ, Resource::Channel(&other)));
            assert_eq!(identity.client, ClientId::new("ann").ok());
            assert!(identity.refuses_other_ids && identity.domain == domain);
            let life = identity.expires_at.unwrap().duration_since(now);
            let life = life.unwrap_or_default();
            assert!(life <= Duration::from_secs(900) && life > Duration::from_secs(898));
        }
    }

    #[test]
    fn a_token_is_known_by_a_digest() {
        let read = |minutes| {
            let terms = Terms { minutes, ..terms() };
            let text = write(&terms, "secret", UNIX_EPOCH);
            (read(&text, "secret").unwrap().credential, text)
        };
        let ((one, text), (same, _), (other, _)) = (read(1), read(1), read(2));
        assert!(one == same && one != other);
        let digits = one.as_str().strip_prefix("pubnub:").unwrap();
        assert_eq!(digits.len(), 2 * DIGEST_BYTES);
        assert!(!text.contains(digits));
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
