//! Commands of a person on a running server, or on its store.

mod hash_password;
mod history;
mod keygen;
mod publish;
mod revoke;
mod subscribe;
mod token;
mod transfer;

pub(crate) use self::{
    hash_password::hash_password,
    history::history,
    keygen::keygen,
    publish::publish,
    revoke::revoke,
    subscribe::subscribe,
    token::token,
    transfer::{export, import},
};

/// A text as it is, everything else as JSON.
fn plain(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strings_lose_their_quotes() {
        for (json, text) in [
            (r#""a\nb""#, "a\nb"),
            ("7", "7"),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
        ] {
            assert_eq!(plain(json), text);
        }
    }
}
