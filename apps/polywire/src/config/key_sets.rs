//! Key sets of PubNub, checked.

use super::{model::KeySetSection, text::Secret};

/// Says what is wrong with them.
pub(super) fn check(sets: &[KeySetSection], refuse: &mut impl FnMut(&str, String)) {
    for (index, set) in sets.iter().enumerate() {
        let mut refuse = |name: &str, message: String| {
            refuse(&format!("apps.pubnub.key_sets.{index}.{name}"), message);
        };
        for (name, key) in [
            ("publish_key", &set.publish_key),
            ("subscribe_key", &set.subscribe_key),
        ] {
            if key.is_empty() {
                refuse(name, "must not be empty".into());
            } else if !key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            {
                // Keys stand in addresses as they are.
                let message = "use letters, digits, - and _ only";
                refuse(name, message.into());
            }
        }
        let secret = set.secret_key.as_ref().map(Secret::reveal);
        if secret == Some("") {
            refuse("secret_key", "must not be empty".into());
        }
        if set.access_manager && secret.is_none() {
            let message = "set secret_key too: without it nobody could grant access";
            refuse("access_manager", message.into());
        }
        if sets[..index]
            .iter()
            .any(|other| other.subscribe_key == set.subscribe_key)
        {
            refuse("subscribe_key", "another key set has the same".into());
        }
    }
}
