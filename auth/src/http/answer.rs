//! What a service answers.

use std::time::{Duration, SystemTime};

use polywire_core::{ClientId, CredentialId, Grant, Identity, Rights};
use serde::Deserialize;
use serde_json::Value;

/// What a service says of somebody it knows. What it does not say is not given.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answer {
    /// A text or a number.
    client: Option<Value>,
    credential: Option<String>,
    rights: Rights,
    pub(crate) roles: Vec<String>,
    expires_in_secs: Option<u64>,
    same_id: bool,
}

/// An answer that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadAnswer {
    #[error("its answer is no JSON object")]
    NoObject,
    #[error("its answer cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its answer has a client that is no id")]
    Client,
    #[error("its answer has rights that are none: {0}")]
    Rights(#[from] polywire_core::InvalidScope),
}

impl Answer {
    pub(crate) fn read(body: &[u8]) -> Result<Self, BadAnswer> {
        // A list would be taken for the members in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(BadAnswer::NoObject);
        }
        Ok(serde_json::from_slice(body)?)
    }

    /// The identity that it gives; `roles` gives the grants of its roles.
    pub(crate) fn identity(
        &self,
        roles: impl FnOnce(Option<&ClientId>, Option<SystemTime>) -> Vec<Grant>,
    ) -> Result<Identity, BadAnswer> {
        let client = match &self.client {
            None => None,
            Some(Value::String(text)) => Some(ClientId::new(text).map_err(|_| BadAnswer::Client)?),
            Some(Value::Number(number)) => Some(ClientId::number(number)),
            Some(_) => return Err(BadAnswer::Client),
        };
        let end = |secs| SystemTime::now().checked_add(Duration::from_secs(secs));
        let expires_at = self.expires_in_secs.and_then(end);
        let mut grants = self.rights.grants(client.as_ref(), expires_at)?;
        grants.extend(roles(client.as_ref(), expires_at));
        Ok(Identity {
            client,
            credential: self.credential.as_deref().map(CredentialId::new),
            expires_at,
            grants,
            refuses_other_ids: self.same_id,
            ..Identity::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, Permissions};

    use super::*;

    fn read(json: &str) -> Result<Identity, BadAnswer> {
        Answer::read(json.as_bytes())?.identity(|_, _| Vec::new())
    }

    #[test]
    fn what_is_not_said_is_not_given() {
        assert_eq!(read("{}").unwrap(), Identity::default());
        let identity = read(
            r#"{"client":"ann","credential":"c","rights":{"write":"iot/{client}"},"expires_in_secs":60,"same_id":true}"#,
        )
        .unwrap();
        assert_eq!(identity.client, ClientId::new("ann").ok());
        assert_eq!(identity.credential, Some(CredentialId::new("c")));
        assert!(identity.expires_at.is_some() && identity.refuses_other_ids);
        let own = Channel::new("iot/ann").unwrap();
        assert!(identity.allows(Permissions::WRITE, &own));
        assert!(!identity.allows(Permissions::READ, &own));
        assert!(
            read(r#"{"client":7}"#)
                .unwrap()
                .client
                .unwrap()
                .is_numeric()
        );
    }

    #[test]
    fn what_cannot_be_read_gives_nothing() {
        for wrong in [
            "",
            "true",
            "[]",
            r#"{"right":{"read":"*"}}"#,
            r#"{"rights":{"reed":"*"}}"#,
            r#"{"rights":{"read":"a*"}}"#,
            r#"{"client":""}"#,
            r#"{"client":["ann"]}"#,
            r#"{"expires_in_secs":-1}"#,
            r#"{"client":"ann","client":"bob"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
