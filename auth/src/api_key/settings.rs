//! Settings of the API key policy.

use polywire_core::{
    Rights,
    settings::{Problem, Secret, Settings, text},
};
use serde::Deserialize;

use crate::rights::problems_of_rights;

/// `[api_key]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct ApiKeySection")]
pub struct ApiKeySettings {
    /// The query parameter: `/api/channels/news/?api_key=…`; the first value counts when it is repeated. Default
    /// `api_key`.
    #[serde(deserialize_with = "text")]
    pub key_name: String,
    /// Its value. Default `secret`, which is accepted on loopback only.
    pub key_secret_value: Secret,
    /// What whoever has it may do: `{ write = "news/#" }`, as in [roles](authentication.md#rights). Default: everything.
    pub rights: Rights,
}

impl Default for ApiKeySettings {
    fn default() -> Self {
        Self {
            key_name: "api_key".into(),
            key_secret_value: Secret::new("secret"),
            rights: Rights::everything(),
        }
    }
}

impl Settings for ApiKeySettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::empty_texts([
            ("key_name", self.key_name.is_empty()),
            (
                "key_secret_value",
                self.key_secret_value.reveal().is_empty(),
            ),
        ]);
        problems.extend(problems_of_rights(&self.rights));
        problems
    }
}
