//! Settings of the header policy.

use http::HeaderName;
use polywire_core::{
    Rights,
    settings::{Problem, Secret, Settings, text},
};
use serde::Deserialize;

use crate::rights::problems_of_rights;

/// `[header]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct HeaderSection")]
pub struct HeaderSettings {
    /// The header; upper and lower case are the same. Default `Seth-Authentication-Header`.
    #[serde(deserialize_with = "text")]
    pub secret_header: String,
    /// Its exact value. Default `Seth-Value`, which is accepted on loopback only.
    pub secret_header_value: Secret,
    /// What whoever has it may do: `{ write = "news/#" }`, as in [roles](authentication.md#rights). Default: everything.
    pub rights: Rights,
}

impl HeaderSettings {
    /// The name of the header.
    ///
    /// # Errors
    /// When no header can have that name.
    pub fn name(&self) -> Result<HeaderName, Problem> {
        let message = "use a header name, such as Seth-Authentication-Header";
        let name = self.secret_header.parse();
        name.map_err(|_| Problem::new("secret_header", message))
    }
}

impl Default for HeaderSettings {
    fn default() -> Self {
        Self {
            secret_header: "Seth-Authentication-Header".into(),
            secret_header_value: Secret::new("Seth-Value"),
            rights: Rights::everything(),
        }
    }
}

impl Settings for HeaderSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::empty_texts([
            ("secret_header", self.secret_header.is_empty()),
            (
                "secret_header_value",
                self.secret_header_value.reveal().is_empty(),
            ),
        ]);
        problems.extend(problems_of_rights(&self.rights));
        problems
    }
}
