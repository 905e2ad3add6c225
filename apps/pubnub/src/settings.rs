//! Settings of the app, beside its keys.

use std::time::Duration;

/// What can be set beside keys.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) authenticate: bool,
    pub(crate) auth_name: String,
    pub(crate) hold: Duration,
    pub(crate) queue_bytes_max: usize,
    pub(crate) queue_age_max: Duration,
    pub(crate) message_bytes_max: usize,
    pub(crate) catch_up: bool,
    pub(crate) presence: bool,
    pub(crate) presence_timeout: Duration,
    pub(crate) announce_max: usize,
    pub(crate) interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            authenticate: false,
            auth_name: "api_key".into(),
            hold: Duration::from_secs(280),
            queue_bytes_max: 64 << 20,
            queue_age_max: Duration::from_secs(20 * 60),
            message_bytes_max: 32 << 10,
            catch_up: true,
            presence: true,
            presence_timeout: Duration::from_secs(300),
            announce_max: 20,
            interval: Duration::from_secs(10),
        }
    }
}
