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
    let with = context.judge(peer, &body.key)?;
    let (key, channel) = make(
        &context.keyring,
        &KeyRequest {
            with,
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
    pub(crate) with: Held,
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
    let target = Pattern::parse(wanted.channel)?;
    let end = |ttl| u32::try_from(now().saturating_add(ttl)).unwrap_or(u32::MAX);
    let expires = (wanted.ttl_secs > 0).then(|| end(wanted.ttl_secs));
    let key = match wanted.with {
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
    use polywire_core::{Channel, Permissions as Rights};

    use super::*;
    use crate::emitter_mode::keys::{OwnKeys, Shown};

    fn gives(ring: &Keyring, key: &str, right: Rights, channel: &str) -> bool {
        let channel = Channel::new(channel).unwrap();
        Shown::once(ring, key).identity.allows(right, &channel)
    }

    fn wanted<'w>(with: Held, channel: &'w str, letters: &str) -> KeyRequest<'w> {
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
        let ring = Keyring::new(OwnKeys::new("a master key of tests"), None);
        let held = |key: &str| ring.read(key).unwrap();
        let (key, channel) = make(&ring, &wanted(Held::Master, "a/#/", "rw")).unwrap();
        assert_eq!(channel, "a/#/");
        assert!(gives(&ring, &key, Rights::WRITE, "a/b"));
        let no_right = make(&ring, &wanted(held(&key), "a/", "r"));
        assert_eq!(no_right, Err(Fault::unauthorized()));
        assert_eq!(
            make(&ring, &wanted(Held::Master, "a", "r"))
                .unwrap_err()
                .status,
            400
        );
        let deep = "a/".repeat(24);
        assert_eq!(
            make(&ring, &wanted(Held::Master, &deep, "r"))
                .unwrap_err()
                .status,
            400
        );

        let (extend, _) = make(&ring, &wanted(Held::Master, "a/#/", "rwe")).unwrap();
        let id = ClientId::new("me-1").unwrap();
        let private = |channel, letters| {
            let mut wanted = wanted(held(&extend), channel, letters);
            wanted.connection = Some(&id);
            make(&ring, &wanted)
        };
        let (key, channel) = private("a/b/", "rse").unwrap();
        assert_eq!(channel, "a/b/me-1/");
        assert!(gives(&ring, &key, Rights::READ, "a/b/me-1"));
        assert!(!gives(&ring, &key, Rights::WRITE, "a/b/me-1"));
        let Held::Channel(kept) = held(&key) else {
            panic!("it is a key of a channel");
        };
        assert_eq!(kept.permissions, Permissions::READ);
        assert!(!gives(&ring, &key, Rights::READ, "a/b"));
        assert_eq!(private("a/#/", "r").unwrap().1, "a/me-1/#/");
        assert_eq!(private("b/", "r"), Err(Fault::unauthorized()));
        assert_eq!(private("a/+/", "r").unwrap_err().status, 400);
        let nobodys = make(&ring, &wanted(held(&extend), "a/", "r"));
        assert_eq!(nobodys, Err(Fault::unauthorized()));
    }
}
