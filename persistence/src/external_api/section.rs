//! The API as a configuration file sets it: in other units, with a shorter patience.

use std::path::PathBuf;

use polywire_core::settings::{Problem, Settings};
use serde::Deserialize;

use super::settings::ExternalApiSettings;

/// `[external_api]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExternalApiSection {
    /// Seconds that one post may take. Default 5.
    pub timeout_secs: u64,
    /// Posts of one message after the first. Default 3.
    pub retries_max: u32,
    /// Messages that one post carries at most: with 1 a post is one JSON object, with more an array of what has come
    /// in since the last post. Default 1.
    pub batch_max: usize,
    /// A file to which messages are appended, one JSON object a line, that could not be posted (up to 256 MiB);
    /// without it they are lost. Default none.
    pub dead_letter_file: Option<PathBuf>,
    /// Messages that may wait to be posted; what comes when it is full is lost, counted and logged. Default 10,000.
    pub queue_messages_max: usize,
    /// Bytes that may wait to be posted. Default 64 MiB.
    pub queue_bytes_max: usize,
}

impl Default for ExternalApiSection {
    fn default() -> Self {
        let settings = ExternalApiSettings::new("");
        Self {
            timeout_secs: 5,
            retries_max: 3,
            batch_max: settings.batch_max,
            dead_letter_file: settings.dead_letter_file,
            queue_messages_max: settings.queue_entries_max,
            queue_bytes_max: settings.queue_bytes_max,
        }
    }
}

impl ExternalApiSection {
    /// The API at this URL, with the rest as it is set here.
    pub fn settings(&self, url: &str) -> ExternalApiSettings {
        let mut settings = ExternalApiSettings::new(url);
        settings.timeout_ms = self.timeout_secs.saturating_mul(1000);
        settings.attempts_max = self.retries_max.saturating_add(1);
        settings.batch_max = self.batch_max;
        settings.dead_letter_file.clone_from(&self.dead_letter_file);
        settings.queue_entries_max = self.queue_messages_max;
        settings.queue_bytes_max = self.queue_bytes_max;
        settings
    }
}

impl Settings for ExternalApiSection {
    fn problems(&self) -> Vec<Problem> {
        Problem::zeros([
            ("timeout_secs", self.timeout_secs == 0),
            ("batch_max", self.batch_max == 0),
            ("queue_messages_max", self.queue_messages_max == 0),
            ("queue_bytes_max", self.queue_bytes_max == 0),
        ])
    }
}
