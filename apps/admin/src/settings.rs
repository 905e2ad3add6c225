//! Settings of the app.

use polywire_core::{
    Rights,
    http::AllowedOrigins,
    settings::{Problem, Settings},
};
use serde::Deserialize;

/// `[apps.admin]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct AdminSection")]
pub struct AdminSettings {
    /// Pages of which sites may use the app from a browser: origins such as `https://chat.example`, `same-origin`, `loopback`,
    /// `null`, or `*` for all, see [origins](configuration.md#origins). Default `same-origin` and, for browsers on this machine, `loopback` and `null`.
    pub allowed_origins: Option<Vec<String>>,
    /// What its clients can reach at most, whatever is granted to them: lists of channels for each right, see
    /// [rights](rights.md). Default everything.
    pub channels: Option<Rights>,
}

impl Settings for AdminSettings {
    fn problems(&self) -> Vec<Problem> {
        let problem = AllowedOrigins::problem(self.allowed_origins.as_deref());
        problem.into_iter().collect()
    }
}
