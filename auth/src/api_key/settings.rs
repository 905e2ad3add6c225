//! Settings of the API key policy.

use polywire_core::settings::{Problem, Secret, Settings, text};
use serde::Deserialize;

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
}

impl Default for ApiKeySettings {
    fn default() -> Self {
        Self {
            key_name: "api_key".into(),
            key_secret_value: Secret::new("secret"),
        }
    }
}

impl Settings for ApiKeySettings {
    fn problems(&self) -> Vec<Problem> {
        Problem::empty_texts([
            ("key_name", self.key_name.is_empty()),
            (
                "key_secret_value",
                self.key_secret_value.reveal().is_empty(),
            ),
        ])
    }
}
