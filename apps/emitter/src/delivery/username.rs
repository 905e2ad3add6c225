//! The user name of a client, which others see as its state.

use bytestring::ByteString;
use polywire_core::JsonText;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct UsernameState {
    username: ByteString,
}

/// What a client of this name says about itself.
pub(crate) fn state(username: &ByteString) -> Option<JsonText> {
    let username = username.clone();
    JsonText::of(&UsernameState { username }).ok()
}

/// The user name in a state, which may be that of another protocol's client.
pub(crate) fn of_state(state: Option<&JsonText>) -> Option<ByteString> {
    let state: UsernameState = serde_json::from_str(state?.as_str()).ok()?;
    Some(state.username)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_a_username_or_not() {
        let name = ByteString::from("u\"1");
        assert_eq!(of_state(state(&name).as_ref()), Some(name));
        let other = JsonText::of(&7).unwrap();
        assert_eq!(of_state(Some(&other)), None);
        assert_eq!(of_state(None), None);
    }
}
