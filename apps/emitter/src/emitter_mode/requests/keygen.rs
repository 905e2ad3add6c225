//! `emitter/keygen/`: makes keys.

use std::net::SocketAddr;

use polywire_core::ClientId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    clock::now,
    emitter_mode::{
        fault::Fault,
        keys::{Held, Keyring, Pattern, Permissions},
        session::EmitterSession,
    },
};

#[derive(Deserialize)]
pub(super) struct Body {
    key: String,
    channel: String,
    /// Older SDKs do not say it.
    #[serde(default = "most", rename = "type")]
    letters: String,
    #[serde(default)]
    ttl: u64,
}

fn most() -> String {
    "rwslp".into()
}

pub(super) fn answer(
    session: &EmitterSession,
    peer: Option<SocketAddr>,
    body: &Body,
) -> Result<Value, Fault> {
    let context = &session.context;
    context.judge(peer, &body.key, |keyring| keyring.read(&body.key))?;
    let (key, channel) = make(
        &context.keyring,
        &KeyRequest {
            with: &body.key,
            channel: &body.channel,
            permissions: Permissions::of_letters(&body.letters),
            ttl_secs: body.ttl,
            connection: Some(&session.member.id),
        },
    )?;
    Ok(json!({"status": 200, "key": key, "channel": channel}))
}

/// A key that is wanted.
pub(crate) struct KeyRequest<'w> {
    /// The master key, or one to make others with.
    pub(crate) with: &'w str,
    /// The target.
    pub(crate) channel: &'w str,
    pub(crate) permissions: Permissions,
    /// Seconds until it ends; 0 for never.
    pub(crate) ttl_secs: u64,
    /// Whose private channel a key is for that is made with another one than the master key.
    pub(crate) connection: Option<&'w ClientId>,
}

/// A new key, and its channel.
pub(crate) fn make(keyring: &Keyring, wanted: &KeyRequest<'_>) -> Result<(String, String), Fault> {
    let held = keyring.read(wanted.with).ok_or_else(Fault::unauthorized)?;
    let target = Pattern::parse(wanted.channel)?;
    let end = |ttl| u32::try_from(now().saturating_add(ttl)).unwrap_or(u32::MAX);
    let expires = (wanted.ttl_secs > 0).then(|| end(wanted.ttl_secs));
    let key = match held {
        Held::Master => {
            let key = keyring.make(wanted.permissions, &target, expires);
            return Ok((key, wanted.channel.to_owned()));
        }
        Held::Channel(key) => key,
    };
    let path = target.as_path();
    let connection = wanted.connection.filter(|_| key.extends(path));
    let connection = connection.ok_or_else(Fault::unauthorized)?;
    if !target.is_static() || path.is_empty() {
        return Err(Fault::bad("A private channel has no wildcards."));
    }
    let rest = if target.is_exact() { "" } else { "#/" };
    let channel = format!("{path}/{connection}/{rest}");
    let permissions = (wanted.permissions & key.permissions).without(Permissions::EXTEND);
    // No key outlives the one that it was made with.
    let expires = match (expires, key.ends()) {
        (Some(wanted), Some(end)) => Some(wanted.min(end)),
        (wanted, end) => wanted.or(end),
    };
    let key = keyring.make(permissions, &Pattern::parse(&channel)?, expires);
    Ok((key, channel))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emitter_mode::keys::OwnKeys;

    const MASTER: &str = "a master key of tests";

    fn wanted<'w>(with: &'w str, channel: &'w str, letters: &str) -> KeyRequest<'w> {
        KeyRequest {
            with,
            channel,
            permissions: Permissions::of_letters(letters),
            ttl_secs: 0,
            connection: None,
        }
    }

    #[test]
    fn keys_are_made_with_the_master_key_or_one_to_extend() {
        let ring = Keyring::new(OwnKeys::new(MASTER), None);
        let (key, channel) = make(&ring, &wanted(MASTER, "a/#/", "rw")).unwrap();
        assert_eq!(channel, "a/#/");
        assert!(ring.permits(&key, Permissions::WRITE, "a/b").is_some());
        let no_right = make(&ring, &wanted(&key, "a/", "r"));
        assert_eq!(no_right, Err(Fault::unauthorized()));
        assert_eq!(
            make(&ring, &wanted(MASTER, "a", "r")).unwrap_err().status,
            400
        );
        let deep = "a/".repeat(24);
        assert_eq!(
            make(&ring, &wanted(MASTER, &deep, "r")).unwrap_err().status,
            400
        );

        let (extend, _) = make(&ring, &wanted(MASTER, "a/#/", "rwe")).unwrap();
        let id = ClientId::new("me-1").unwrap();
        let private = |channel, letters| {
            let mut wanted = wanted(&extend, channel, letters);
            wanted.connection = Some(&id);
            make(&ring, &wanted)
        };
        let (key, channel) = private("a/b/", "rse").unwrap();
        assert_eq!(channel, "a/b/me-1/");
        assert!(ring.permits(&key, Permissions::READ, "a/b/me-1").is_some());
        for more in [Permissions::WRITE, Permissions::STORE, Permissions::EXTEND] {
            assert!(ring.permits(&key, more, "a/b/me-1").is_none());
        }
        assert!(ring.permits(&key, Permissions::READ, "a/b").is_none());
        assert_eq!(private("a/#/", "r").unwrap().1, "a/me-1/#/");
        assert_eq!(private("b/", "r"), Err(Fault::unauthorized()));
        assert_eq!(private("a/+/", "r").unwrap_err().status, 400);
        let nobodys = make(&ring, &wanted(&extend, "a/", "r"));
        assert_eq!(nobodys, Err(Fault::unauthorized()));
    }
}
